"""Which addresses pipes may connect to, and the spellings of URLs."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

import httpx
import pytest

from lrs.pipes.client.address_rules import AddressRefused, AddressRules
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.client.origins import origin_of
from lrs.pipes.options import NoCredentials
from lrs.pipes.pull import walk
from lrs.pipes.pull.source import with_prefix
from lrs.pipes.pull.walk import PullCursor, Walk
from tests.support.scripted_source import START


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "fe80::1", "::ffff:169.254.1.1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254",
        "2002:a9fe:a9fe::1", "0.0.0.0", "::", "224.0.0.1",
    ],
)  # fmt: skip
def test_link_local_address_is_refused_in_every_form(address: str) -> None:
    assert AddressRules().refusal(ip_address(address))
    assert AddressRules("0.0.0.0/0,::/0").refusal(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "93.184.216.34", "2001:db8::1"])
def test_other_address_is_accepted_unless_networks_bound_it(address: str) -> None:
    assert AddressRules().refusal(ip_address(address)) is None
    is_inside = address == "10.1.2.3"
    assert (AddressRules("10.1.0.0/16").refusal(ip_address(address)) is None) == is_inside


async def test_host_name_is_checked_by_its_addresses() -> None:
    assert await AddressRules().resolve("127.0.0.1", 80) == [ip_address("127.0.0.1")]
    with pytest.raises(AddressRefused, match="LRS_PIPE_NETWORKS"):
        await AddressRules("10.0.0.0/8").resolve("localhost", 80)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("/xapi/statements?m=1", "https://lrs.example:8443/xapi/statements?m=1"),
        ("?m=1", "https://lrs.example:8443/lrs/xapi/statements?m=1"),
        ("http://internal/x?m=1#f", "https://lrs.example:8443/x?m=1"),
        ("//evil.example/x", "https://lrs.example:8443/x"),
        ("https://user:pw@lrs.example:8443/x", "https://lrs.example:8443/x"),
    ],
)
async def test_more_stays_at_the_configured_origin(more: str, expected: str) -> None:
    async with httpx.AsyncClient() as client:
        url = "https://lrs.example:8443/lrs/xapi/statements"
        endpoint = Endpoint(client, url, NoCredentials())
        assert endpoint.resolve(more) == expected


def test_prefix_that_a_proxy_removed_is_added() -> None:
    endpoint = "https://h/lrs/xapi/statements"
    assert with_prefix(endpoint, "https://h/xapi/statements?m=1") == (
        "https://h/lrs/xapi/statements?m=1"
    )
    assert with_prefix(endpoint, "https://h/lrs/xapi/statements?m=1") is None
    assert with_prefix(endpoint, "https://h/other?m=1") is None


def test_origin_has_no_default_port_and_is_in_lower_case() -> None:
    assert origin_of("HTTPS://LRS.Example:443/x") == origin_of("https://lrs.example/y")
    assert origin_of("https://[2001:DB8::1]:8443/") == "https://[2001:db8::1]:8443"


def test_next_walk_never_begins_before_the_one_before() -> None:
    cursor = PullCursor(since=START, walk=Walk(through=START - timedelta(days=1)))
    walk.end(cursor, timedelta(seconds=300), START)
    assert cursor.since == START
    assert walk.decode(walk.encode(cursor)) == cursor


@pytest.mark.parametrize(
    ("through", "newest", "expected"),
    [
        (timedelta(days=1), timedelta(hours=-1), timedelta(0)),  # it says what it cannot know
        (timedelta(days=1), timedelta(days=1), timedelta(days=1)),  # the clock of the source is off
        (timedelta(hours=-1), timedelta(0), timedelta(hours=-1)),
        (timedelta(days=1), None, timedelta(0)),
    ],
)
def test_consistent_through_in_the_future_skips_nothing(
    through: timedelta, newest: timedelta | None, expected: timedelta
) -> None:
    walked = Walk(through=START + through, newest=None if newest is None else START + newest)
    cursor = PullCursor(walk=walked)
    walk.end(cursor, timedelta(0), START)
    assert cursor.since == START + expected - walk.MILLISECOND
