"""A Canvas tool with a launch: signed callbacks, and what they leave in the store."""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from authlib.oauth1 import ClientAuth
from authlib.oauth1.rfc5849.signature import generate_signature_base_string
from authlib.oauth1.rfc5849.util import escape
from joserfc import jws
from joserfc.jwk import OctKey
from oauthlib.common import extract_params
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_TYPE_QUERY, Client

from lrs.api.services import Services
from lrs.app import create_app
from lrs.auth import tools
from lrs.settings import Settings
from lrs.store import partner_settings, registry
from lrs.xapi import canvas_launches
from lrs.xapi.canvas_launches import Launch
from tests.support.files import SEEDS
from tests.support.partners import Partner
from tests.support.statements import JSON

SEED = SEEDS / "canvas-callback.json"
BODY: dict[str, Any] = json.loads(SEED.read_bytes())
VIEW_EVENT = "http://purl.imsglobal.org/caliper/v1/ViewEvent"


def body(duration: Any = None, **members: Any) -> dict[str, Any]:
    """The vendor's example with a new id; `duration` replaces its own."""
    reported = {**BODY, "id": str(uuid4()), **members}
    return reported if duration is None else {**reported, "result": {"duration": duration}}


@dataclass
class Tool:
    """A tool with its key, secret and a launch."""

    partner: Partner
    name: str
    key: str
    secret: str
    user: str = "42"
    course: str = "9"
    url: str = ""
    caliper_url: str = ""
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.partner.http

    async def launch(self, user: str = "42", course: str = "9") -> Tool:
        """The same tool in another launch."""
        answer = await self.partner.send(
            {"user": user, "course": course}, resource=f"tools/{self.name}/callback-urls"
        )
        assert answer.status_code == 200, answer.text
        urls = answer.json()
        return Tool(
            self.partner, self.name, self.key, self.secret, user, course, urls["url"],
            urls["caliper_url"],
        )  # fmt: skip

    def signed(
        self,
        content: bytes,
        *,
        method: str = SIGNATURE_HMAC_SHA1,
        url: str | None = None,
        content_type: str = "application/json",
        in_query: bool = False,
        **options: Any,
    ) -> httpx.Request:
        """A request signed by oauthlib's client."""
        target = url or self.url
        options.setdefault("client_secret", self.secret)
        client = Client(
            options.pop("client_key", self.key),
            signature_method=method,
            **({"signature_type": SIGNATURE_TYPE_QUERY} if in_query else {}),
            **options,
        )
        signed: Any = content
        if "urlencoded" in content_type:
            signed = content.decode()
        elif extract_params(content.decode("latin-1")) is not None:
            signed = None  # the client would parse the body as a form, and refuse to sign
        headers = {"Content-Type": content_type}
        uri, headers, _ = client.sign(target, "POST", body=signed, headers=headers)
        return httpx.Request("POST", uri, headers=headers, content=content)

    async def send(self, payload: Any = None, **options: Any) -> httpx.Response:
        """POSTs a body (bytes, or what JSON is made of), signed."""
        value = body() if payload is None else payload
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.http.send(self.signed(content, **options))

    async def caliper(self, payload: Any, **options: Any) -> httpx.Response:
        return await self.send(payload, url=self.caliper_url, **options)

    async def views(self, **params: Any) -> list[dict[str, Any]]:
        answer = await self.read(f"/api/v1/users/{self.user}/page_views", **params)
        result: list[dict[str, Any]] = answer.json()
        return result

    async def summary(self) -> dict[str, Any]:
        """The course summary of the launch's user; zeros without one."""
        answer = await self.read(
            f"/api/v1/courses/{self.course}/analytics/student_summaries",
            student_id=self.user,
        )
        result = answer.json()
        return result[0] if result else {"page_views": 0, "total_activity_time": 0}

    async def read(self, path: str, **params: Any) -> httpx.Response:
        answer = await self.http.get(path, params=params, headers=self.partner.headers)
        assert answer.status_code == 200, answer.text
        return answer


def _hmac_sha256(client: Any, request: Any) -> str:
    text = generate_signature_base_string(request).encode()
    key = f"{escape(client.client_secret)}&".encode()
    return base64.b64encode(hmac.digest(key, text, "sha256")).decode()


os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # otherwise authlib signs https URLs only
ClientAuth.register_signature_method("HMAC-SHA256", _hmac_sha256)  # authlib has none of its own


def authlib_signed(
    tool: Tool, content: bytes, method: str = "HMAC-SHA1", *, with_body_hash: bool = False
) -> httpx.Request:
    """A request signed by authlib's client."""
    signer = ClientAuth(
        tool.key, tool.secret, signature_method=method, force_include_body=with_body_hash
    )
    signed = content if with_body_hash else b""
    uri, headers, _ = signer.sign("POST", tool.url, dict(JSON), signed)
    return httpx.Request("POST", uri, headers=headers, content=content)


async def new_tool(
    services: Services, partner: Partner, name: str = "player", **value: Any
) -> Tool:
    """A tool with a launch."""
    issued = await tools.add_tool(
        services.database, services.secret_box, partner.partner_id, name, **value
    )
    return await Tool(partner, name, issued.consumer_key, issued.secret).launch()


def sign_token(launch: Launch, key: bytes) -> str:
    """A signed token, as earlier versions issued it."""
    return jws.serialize_compact(
        {"alg": canvas_launches.ALGORITHM}, msgspec.json.encode(launch), OctKey.import_key(key)
    )


async def enable_strict_idempotency(services: Services, tool: Tool) -> None:
    """Sets the partner setting; call it before the first report of the tool, which is cached."""
    changed = partner_settings.PartnerSettings(strict_callback_idempotency=True)
    await registry.set_partner_settings(services.database, tool.partner.name, changed)


def message(answer: httpx.Response) -> str:
    (error,) = answer.json()["errors"]
    return str(error["message"])


EMPTY_HASH = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
INVALID_HEADER = "Invalid authorization header"
INVALID_TOKEN = "Invalid analytics service token"
TOO_OLD = "Timestamp too old or too far in the future, request has expired"
DUPLICATE = "Duplicate nonce detected"
NOT_FOUND = "The specified resource does not exist."


@asynccontextmanager
async def instance(settings: Settings, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Another server of the same database."""
    application = create_app(replace(settings, **changed))
    async with application.lifespan():
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client:
            yield client


async def count_rows(services: Services, tool: Tool) -> dict[str, Any]:
    """The stored rows and sums of the launch's user."""
    where = "where partner_id = $1 and user_id = $2 and course_id = $3"
    row = await services.database.readers.fetchrow(
        f"""
        select
            (select count(*) from page_view {where}) as views,
            coalesce((select activity_seconds from course_activity {where}), 0) as seconds,
            coalesce((select page_views from course_activity {where}), 0) as summed,
            coalesce((select sum(accesses) from tool_access {where}), 0)::int as accesses,
            coalesce((select sum(page_views) from user_day {where}), 0)::int as days,
            (select count(*) from statement where partner_id = $1) as statements
        """,
        tool.partner.partner_id, tool.user, tool.course,
    )  # fmt: skip
    return dict(row)


NOTHING = {"views": 0, "seconds": 0, "summed": 0, "accesses": 0, "days": 0, "statements": 0}


def refused(answer: httpx.Response, status: int, payload: str, **members: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json() == {"errors": [{"message": payload, **members}]}
    assert answer.headers["content-type"] == "application/json"
    assert "www-authenticate" not in answer.headers


def accepted(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.content == b""
    assert "content-type" not in answer.headers
