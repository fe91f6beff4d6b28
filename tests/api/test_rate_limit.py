"""Rate limit per credential."""

from __future__ import annotations

import msgspec

from lrs.settings import Settings
from tests.support.app import serving
from tests.support.oauth import GRANT, TOKEN
from tests.support.partners import Partner
from tests.support.statements import XAPI


async def test_request_beyond_the_rate_limit_returns_429_with_retry_after(
    settings: Settings, partner: Partner
) -> None:
    limited = msgspec.structs.replace(settings, rate_limit="3/minute")
    async with serving(limited) as http:
        url = partner.url("statements")
        answers = [await http.get(url, headers=partner.headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["code"] == "too-many-requests"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        # The limit counts the credential, whatever the authentication method.
        basic = await http.get("/xapi/statements", headers=XAPI, auth=(partner.key, partner.secret))
        assert basic.status_code == 429
        token = await http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
        assert (token.status_code, token.headers["retry-after"].isdigit()) == (429, True)


async def test_rate_limit_is_per_credential(
    settings: Settings, partner: Partner, stranger: Partner
) -> None:
    async with serving(msgspec.structs.replace(settings, rate_limit="1/minute")) as http:
        for client in (partner, stranger):
            answers = [
                await http.get(client.url("statements"), headers=client.headers) for _ in "12"
            ]
            assert [answer.status_code for answer in answers] == [200, 429]
