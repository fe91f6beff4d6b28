"""Examples in the docs: shell blocks, curl commands as HTTP requests, links."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.support.files import DOCS, ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

_CURL = argparse.ArgumentParser(prog="curl")
_CURL.add_argument("url")
_CURL.add_argument("-s", "--silent", action="store_true")
_CURL.add_argument("-O", action="store_true")
_CURL.add_argument("-J", action="store_true")
_CURL.add_argument("--compressed", action="store_true")
_CURL.add_argument("-u", dest="user")
_CURL.add_argument("-H", dest="headers", action="append", default=[])
_CURL.add_argument("-d", "--data-binary", dest="data")


@dataclass(frozen=True)
class CurlRequest:
    """A curl command of a document."""

    url: str
    user: str | None
    headers: dict[str, str]
    data: str | None

    @property
    def method(self) -> str:
        return "GET" if self.data is None else "POST"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell_lines(path: Path) -> list[str]:
    """The commands of all shell blocks, with continuation lines joined and comments removed."""
    joined = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    quoted = re.compile(r"'[^']*'", re.DOTALL)  # a quoted JSON body may span lines
    flat = quoted.sub(lambda match: match.group().replace("\n", " "), joined)
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in flat.splitlines() if line.strip()]


def curl_requests(path: Path) -> list[CurlRequest]:
    """The curl commands of a document, also those inside $(…) or before a pipe."""
    result = []
    for line in shell_lines(path):
        if (start := line.find("curl ")) < 0:
            continue
        command = line[start:].partition(" | ")[0]
        options = _CURL.parse_args(shlex.split(command)[1:])
        headers = dict(header.split(": ", 1) for header in options.headers)
        result.append(CurlRequest(options.url, options.user, headers, options.data))
    return result


def links(path: Path) -> list[str]:
    """The relative links of a document."""
    text = path.read_text(encoding="utf-8")
    return [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]


def anchors(path: Path) -> set[str]:
    """The anchors of the headings of a document, as GitHub derives them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
