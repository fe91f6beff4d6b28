"""docs/canvas.md: its program runs, its commands exist, its messages are the server's."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn

from lrs.api.canvas import callbacks
from lrs.api.services import Services
from lrs.app import create_app
from lrs.auth import callback_tokens, oauth1
from lrs.settings import Settings
from tests.support.canvas import authlib_signed, new_tool
from tests.support.commands import command_group, option_names
from tests.support.files import DOCS
from tests.support.partners import Partner

DOCUMENT = (DOCS / "canvas.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """A server whose public URL is the address it listens on."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None, access_log=False)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        thread.join(0.02)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(10)


@pytest.mark.slow
async def test_documented_program_sends_a_callback(
    services: Services, partner: Partner, address: str, tmp_path: Path
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    program = tmp_path / "report.py"
    program.write_text(source)
    async with httpx.AsyncClient(base_url=address) as http:
        tool = await new_tool(services, replace(partner, http=http))
        assert tool.url.startswith(f"{address}/api/lti/v1/xapi/")
        command = [sys.executable, str(program), tool.url, tool.key, tool.secret]
        for _ in range(2):
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=30
            )
            assert (done.stdout.strip(), done.stderr) == ("200", "")
        views = await tool.views()
        assert [view["interaction_seconds"] for view in views] == [180.0, 180.0]
        request = authlib_signed(tool, b'{"object": {"id": "x"}}', with_body_hash=True)
        assert (await http.send(request)).status_code == 200
        assert len(await tool.views()) == 3


def test_documented_commands_exist() -> None:
    group = command_group("tool")
    named = set(re.findall(r"^lrs tool ([a-z-]+)", DOCUMENT, re.MULTILINE))
    assert named == set(group.commands)
    for name, flag in re.findall(r"^lrs tool ([a-z-]+) .*?(--[a-z-]+)", DOCUMENT, re.MULTILINE):
        assert flag in option_names(group.commands[name])


def test_documented_messages_are_those_of_the_server() -> None:
    for message in (
        oauth1.INVALID_HEADER, oauth1.TOO_OLD,
        callback_tokens.NO_SUCH_TOOL, callback_tokens.INVALID_TOKEN,
        callbacks.DUPLICATE_NONCE,
    ):  # fmt: skip
        assert f"| `{message}` |" in DOCUMENT
