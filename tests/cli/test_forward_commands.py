"""`lrs pipe` for forwarding pipes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.pipes.options import Signed, decode_credentials
from lrs.store import pipes as store
from tests.support.partners import Partner
from tests.support.pipes import SECRETS

URL = "https://lrs.example/xapi"


async def test_options_of_a_forwarding_pipe_are_kept(
    partner: Partner, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "secret")
    added = await asyncio.to_thread(
        run, "pipe", "add", partner.name, "out", URL, "--forward", "--from", "beginning",
        "--batch", "20", "--strip", "--key", "key", "--filter", "verb=http://example.com/a",
        "--filter", "verb=http://example.com/b",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    (shown,) = json.loads(
        (await asyncio.to_thread(run, "pipe", "list", partner.name, "--json")).stdout
    )
    assert shown["options"] == {"start": "beginning", "batch": 20, "strip": True}
    assert shown["filter"] == {"verb": ["http://example.com/a", "http://example.com/b"]}
    assert "secret" not in json.dumps(shown)


async def test_webhook_is_signed_with_the_secret(
    services: Services,
    partner: Partner,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ("pipe", "add", partner.name, "hook", URL, "--forward", "--webhook")
    monkeypatch.setenv("SECRET", "not base64")
    refused = await asyncio.to_thread(run, *command)
    assert refused.exit_code == 1
    assert "whsec_" in refused.output
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    monkeypatch.setenv("SECRET", secret)
    added = await asyncio.to_thread(run, *command)
    assert added.exit_code == 0, added.output
    pipe = await store.get(services.database, partner.partner_id, "hook")
    assert decode_credentials(SECRETS.decrypt(pipe.credentials_jwe)) == Signed(secret)
    assert pipe.options == {"target": "webhook"}
