"""`lrs pipe test`: what another LRS answers, step by step, before a pipe is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlsplit

import httpx

from lrs.errors import LRSError
from lrs.ingest.model import REFUSED, Outcome
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.client.http_dates import http_date
from lrs.pipes.client.responses import Response
from lrs.pipes.engine import reason_of
from lrs.pipes.model import PipeError
from lrs.pipes.pull import source
from lrs.pipes.pull.items import SourceItem, parse_item
from lrs.pipes.pull.source import SourcePage
from lrs.pipes.pull.walk import format_time
from lrs.plurals import quantity
from lrs.store.pipes import Pipe
from lrs.xapi.timestamps import to_utc

_SKEW_SECONDS = 5.0
_CLOCK_SECONDS = 2.0
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `ok` None: a fact that is neither right nor wrong."""

    check: str
    ok: bool | None
    detail: str


Preview = Callable[[Sequence[SourceItem]], Awaitable[list[Outcome]]]
"""The outcomes that items of a first page would have."""


async def check(
    pipe: Pipe, endpoint: Endpoint, rules: AddressRules, preview: Preview
) -> AsyncIterator[Finding]:
    """The findings in order; it ends at the first one without which no other is possible.

    Nothing is stored, and nothing is sent to the other LRS.
    """
    parts = urlsplit(endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = await rules.resolve(parts.hostname or "", port)
        yield Finding("address", True, ", ".join(map(str, addresses)))
        if pipe.options.get("target", "statements") != "statements":
            for finding in await _receiver(endpoint):
                yield finding
            return
        about = await _about(endpoint)
    except httpx.HTTPError as error:
        yield Finding("connection", False, reason_of(error))
        return
    yield _connection(endpoint, about)
    try:
        version = await source.find_version(endpoint, pipe.version)
        yield Finding("version", None, f"{version} ({pipe.version})")
        url = ""
        async for url_with_statements, finding in _spellings(endpoint, version):
            url = url or url_with_statements
            yield finding
        if not url:
            return
        page = await source.fetch_page(
            endpoint, url, version, {"ascending": "true", "limit": str(_SAMPLE)}
        )
        for finding in _page_findings(page, endpoint):
            yield finding
        for finding in await _since(page, endpoint, url, version):
            yield finding
        yield await _multipart(endpoint, url, version)
        if pipe.direction == "pull":
            yield await _dry_run(page, preview)
    except (PipeError, httpx.HTTPError, LRSError) as error:
        yield Finding("request", False, reason_of(error))


async def _receiver(endpoint: Endpoint) -> list[Finding]:
    """The findings of a webhook or a track endpoint, which cannot be read: it is asked for HEAD."""
    response = await endpoint.request("HEAD", endpoint.url)
    answers = response.status < 500 and response.status not in (401, 403, 404)
    detail = f"{endpoint.url}: {response.status} to HEAD; nothing is sent by a test"
    return [_connection(endpoint, response), Finding("endpoint", answers, detail)]


async def _about(endpoint: Endpoint) -> Response:
    base = source.spellings(endpoint.url)[0].partition("?")[0]
    return await endpoint.request("GET", base.removesuffix("/statements") + "/about")


def _connection(endpoint: Endpoint, about: Response) -> Finding:
    kind = "TLS" if endpoint.url.startswith("https") else "no TLS"
    date = http_date(about.headers.get("date", ""))
    if date is None:
        return Finding("connection", True, f"{kind}; no Date")
    skew = (date - datetime.now(UTC)).total_seconds()
    return Finding("connection", abs(skew) < _SKEW_SECONDS, f"{kind}; clock skew {skew:+.0f} s")


async def _spellings(endpoint: Endpoint, version: str) -> AsyncIterator[tuple[str, Finding]]:
    """The URLs up to the one that works, empty for the others."""
    for url in source.spellings(endpoint.url):
        response = await endpoint.request(
            "GET", url, params={"limit": "1"}, headers=source.headers(version)
        )
        works = response.status == 200 and source.is_result(response)
        detail = f"{url}: {response.status}"
        yield url if works else "", Finding("endpoint", works, f"{detail} {response.excerpt(100)}")
        if works or response.status in (401, 403):
            return


def _page_findings(page: SourcePage, endpoint: Endpoint) -> list[Finding]:
    times = [item.stored for item in map(parse_item, page.items[:_SAMPLE]) if item.stored]
    is_descending = any(later < earlier for earlier, later in pairwise(times))
    order = "descending: the pipe copes with it" if is_descending else "ascending"
    findings = [
        Finding("order", not is_descending, f"{order} ({quantity(len(times), 'statement')})"),
        Finding("more", None, _more(page.more, endpoint)),
    ]
    if page.through is None:
        detail = "no Consistent-Through: polls begin at the last `stored` less the overlap"
    else:
        age = (datetime.now(UTC) - page.through).total_seconds()
        kind = "a clock, or a watermark without delay" if abs(age) < _CLOCK_SECONDS else "watermark"
        detail = f"Consistent-Through {page.through:%Y-%m-%dT%H:%M:%SZ}: {kind}"
    return [*findings, Finding("watermark", page.through is not None, detail)]


def _more(more: str, endpoint: Endpoint) -> str:
    if not more:
        return "empty: one page"
    try:
        host = urlsplit(more).netloc
    except ValueError:
        return "invalid"
    if not host:
        return "relative"
    same = host == urlsplit(endpoint.url).netloc
    return "absolute" if same else f"at another host, {host}: requested at {endpoint.origin}"


def _late_stored(item: bytes) -> datetime | None:
    """The `stored` of a statement that was stored at least a minute after its timestamp."""
    parsed = parse_item(item)
    text = parsed.value.get("timestamp") if isinstance(parsed.value, dict) else None
    try:
        timestamp = to_utc(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if timestamp is None or parsed.stored is None:
        return None
    return parsed.stored if parsed.stored - timestamp > timedelta(minutes=1) else None


async def _since(page: SourcePage, endpoint: Endpoint, url: str, version: str) -> list[Finding]:
    """Whether `since` is compared with `stored`; nothing if no statement of the page tells."""
    stored = next(filter(None, map(_late_stored, page.items)), None)
    if stored is None:
        return []
    since = format_time(stored - timedelta(milliseconds=2))
    params = {"ascending": "true", "limit": str(_SAMPLE), "since": since}
    later = await source.fetch_page(endpoint, url, version, params)
    if later.items:
        return [Finding("since", True, "compared with `stored`")]
    detail = "not compared with `stored`: --overlap must be the longest delay of statements there"
    return [Finding("since", False, detail)]


async def _multipart(endpoint: Endpoint, url: str, version: str) -> Finding:
    params = {"limit": "1", "attachments": "true"}
    response = await endpoint.request("GET", url, params=params, headers=source.headers(version))
    offered = response.status == 200 and response.content_type == "multipart/mixed"
    return Finding("attachments", offered, f"{response.status} {response.content_type}")


async def _dry_run(page: SourcePage, preview: Preview) -> Finding:
    outcomes = await preview([parse_item(item) for item in page.items[:_SAMPLE]])
    refused = [outcome for outcome in outcomes if outcome.kind in REFUSED]
    reasons = Counter(outcome.problem.detail for outcome in refused if outcome.problem)
    accepted = len(outcomes) - len(refused)
    text = f"{accepted} of {quantity(len(outcomes), 'statement')} accepted"
    lines = [f"{count} refused: {reason}" for reason, count in reasons.most_common(3)]
    return Finding("dry run", not refused, "; ".join([text, *lines]))
