"""Page views and analytics in Canvas's formats."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lrs.api.services import Services
from tests.support.canvas import Tool, body, new_tool
from tests.support.partners import Partner, new_partner

NOW = datetime.now(UTC).replace(microsecond=0)
COLUMNS = (
    "request_id,user_id,url,context_id,context_type,asset_id,asset_type,controller,action,"
    "interaction_seconds,created_at,user_request,render_time,user_agent,participated,account_id,"
    "real_user_id,http_method,remote_ip"
)


@pytest.fixture
async def tool(services: Services, partner: Partner) -> Tool:
    return await new_tool(services, partner)


async def view(tool: Tool, number: int, *, ago: timedelta = timedelta(0)) -> None:
    """A page view in the past."""
    response = await tool.send(body(object={"id": f"http://example.com/{number}"}))
    assert response.status_code == 200
    if ago:
        pool = tool.partner.http._transport.app.services.database.writers  # type: ignore[attr-defined]
        await pool.execute(
            "update page_view set created_at = $3 where partner_id = $1 and url like $2",
            tool.partner.partner_id,
            f"%/{number}",
            NOW - ago,
        )


async def insert_views(services: Services, tool: Tool, count: int) -> None:
    """Page views 1 to `count`, the last one the newest."""
    await services.database.writers.execute(
        "insert into page_view (partner_id, statement_id, created_at, user_id, course_id, tool,"
        " url, interaction_seconds)"
        " select $1, gen_random_uuid(), now() + n * interval '1 s', $2, $3, $4,"
        " 'http://example.com/' || n, 5 from generate_series(1, $5) as n",
        tool.partner.partner_id, tool.user, tool.course, tool.name, count,
    )  # fmt: skip


def links(response: httpx.Response) -> dict[str, str]:
    result = re.findall(r'<([^>]+)>; rel="(\w+)"', response.headers["link"])
    order = [relation for _, relation in result]
    assert order == sorted(order, key=["current", "next", "prev", "first", "last"].index)
    rendered = ",".join(f'<{url}>; rel="{relation}"' for url, relation in result)
    assert rendered == response.headers["link"]
    return {relation: url for url, relation in result}


def urls(response: httpx.Response) -> list[str]:
    return [urlsplit(item["url"]).path for item in response.json()]


# Page views


async def test_page_view_has_all_members(tool: Tool) -> None:
    assert (await tool.send(body("PT10M0S"))).status_code == 200
    (result,) = await tool.views()
    assert datetime.fromisoformat(result.pop("created_at")) >= NOW
    assert len(result.pop("id")) == 36
    assert result == {
        "app_name": None, "url": "http://example.com/", "context_type": "Course",
        "asset_type": None, "controller": None, "action": None, "contributed": False,
        "interaction_seconds": 300.0, "user_request": None, "render_time": None,
        "user_agent": None, "participated": None, "http_method": None, "remote_ip": None,
        "links": {"user": 42, "context": 9, "asset": None, "real_user": None, "account": None},
    }  # fmt: skip


async def test_non_numeric_ids_are_strings(tool: Tool) -> None:
    other = await tool.launch("u-1", "007")
    assert (await other.send()).status_code == 200
    (result,) = await other.views()
    assert (result["links"]["user"], result["links"]["context"]) == ("u-1", "007")


async def test_pagination_by_bookmark_is_newest_first(tool: Tool) -> None:
    for number in range(5):
        await view(tool, number)
    path = "/api/v1/users/42/page_views"
    first = await tool.read(path, per_page=2)
    assert urls(first) == ["/4", "/3"]
    assert set(links(first)) == {"current", "next", "first"}
    second = await tool.http.get(links(first)["next"], headers=tool.partner.headers)
    assert urls(second) == ["/2", "/1"]
    await view(tool, 5)
    third = await tool.http.get(links(second)["next"], headers=tool.partner.headers)
    assert urls(third) == ["/0"]
    assert set(links(third)) == {"current", "first", "last"}
    again = await tool.http.get(links(third)["last"], headers=tool.partner.headers)
    assert again.json() == third.json()
    assert parse_qs(urlsplit(links(first)["next"]).query)["per_page"] == ["2"]


async def test_pagination_by_page_number(tool: Tool) -> None:
    for number in range(3):
        await view(tool, number)
    path = "/api/v1/users/42/page_views"
    second = await tool.read(path, per_page=2, page=2)
    assert urls(second) == ["/0"]
    assert set(links(second)) == {"current", "prev", "first", "last"}
    assert (await tool.read(path, page=9)).json() == []
    assert (await tool.read(path, page="999999999", per_page=100)).json() == []
    for nonsense in ("0", "-1", "x", "bookmark:", "bookmark:AAAA", "bookmark:é", "9" * 30):
        assert urls(await tool.read(path, page=nonsense)) == ["/2", "/1", "/0"]


@pytest.mark.parametrize(
    ("value", "count"), [(None, 10), ("1000", 12), ("0", 1), ("-3", 10), ("x", 10), ("11", 11)]
)
async def test_pagination_per_page_is_clamped(tool: Tool, value: str | None, count: int) -> None:
    await asyncio.gather(*(view(tool, number) for number in range(12)))
    requested = {} if value is None else {"per_page": value}
    assert len(await tool.views(**requested)) == count


async def test_time_window_selects_page_views(tool: Tool) -> None:
    for number in range(3):
        await view(tool, number, ago=timedelta(hours=3 - number))
    path = "/api/v1/users/42/page_views"
    middle = (NOW - timedelta(hours=2)).isoformat()
    assert urls(await tool.read(path, start_time=middle)) == ["/2", "/1"]
    assert urls(await tool.read(path, end_time=middle)) == ["/1", "/0"]
    naive = middle.removesuffix("+00:00")
    assert urls(await tool.read(path, start_time=naive)) == ["/2", "/1"]
    unescaped = await tool.http.get(f"{path}?start_time={middle}", headers=tool.partner.headers)
    assert urls(unescaped) == ["/2", "/1"]
    for nonsense in ("yesterday", "", "9" * 40, "2026-13-01", "0001-01-01T00:00:00+14:00"):
        assert len((await tool.read(path, start_time=nonsense)).json()) == 3
        assert len((await tool.read(path, end_time=nonsense)).json()) in (0, 3)
    page = await tool.read(path, start_time=middle, per_page=1)
    after = await tool.http.get(links(page)["next"], headers=tool.partner.headers)
    assert urls(after) == ["/1"]
    assert "next" not in links(after)


@pytest.mark.parametrize("suffix", ["", ".csv"])
async def test_invalid_time_returns_400(tool: Tool, suffix: str) -> None:
    path = f"/api/v1/users/42/page_views{suffix}"
    for params, reported in (
        ({"start_time": "2999-01-01"}, "start_time cannot be in the future"),
        (
            {"start_time": "2026-01-02", "end_time": "2026-01-01"},
            "end_time must be after start_time",
        ),
    ):
        response = await tool.http.get(path, params=params, headers=tool.partner.headers)
        assert response.status_code == 400
        assert response.json() == {"error": reported}


async def test_page_views_as_csv(tool: Tool) -> None:
    await view(tool, 1)
    await view(tool, 2)
    response = await tool.read("/api/v1/users/42/page_views.csv", per_page=1)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text.splitlines()[0] == COLUMNS
    (row,) = csv.DictReader(io.StringIO(response.text))
    (displayed,) = await tool.views(per_page=1)
    assert row["request_id"] == displayed["id"]
    assert (row["user_id"], row["context_id"]) == ("42", "9")
    assert (row["url"], row["interaction_seconds"]) == ("http://example.com/2", "180.0")
    assert row["created_at"] == displayed["created_at"]
    assert "page_views.csv" in links(response)["next"]


async def test_page_views_as_csv_are_an_attachment_of_300_rows(
    services: Services, tool: Tool
) -> None:
    await insert_views(services, tool, 305)
    path = "/api/v1/users/42/page_views.csv"
    response = await tool.read(path)
    assert re.match(
        'attachment; filename="?page_views.csv', response.headers["content-disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["url"] for row in rows] == [f"http://example.com/{n}" for n in range(305, 5, -1)]
    after = await tool.http.get(links(response)["next"], headers=tool.partner.headers)
    assert len(after.text.splitlines()) == 1 + 5
    assert len((await tool.read(path, per_page=1000)).text.splitlines()) == 1 + 300
    assert len((await tool.read(path, per_page=20)).text.splitlines()) == 1 + 20


async def test_secrets_in_urls_are_masked(tool: Tool) -> None:
    page = "https://example.com/p?page=2&access_token=s3cret&x=1#id_token=s3cret"
    assert (await tool.send(body(object={"id": page}))).status_code == 200
    masked = "https://example.com/p?page=2&access_token=[FILTERED]&x=1#id_token=[FILTERED]"
    (displayed,) = await tool.views()
    assert displayed["url"] == masked
    (row,) = csv.DictReader(io.StringIO((await tool.read("/api/v1/users/42/page_views.csv")).text))
    assert row["url"] == masked


@pytest.mark.parametrize(
    "path",
    ["users/self/page_views", "users/self/page_views.csv",
     "courses/9/analytics/users/self/activity",
     "courses/9/analytics/student_summaries?student_id=self"],
)  # fmt: skip
async def test_self_is_refused_with_the_reason(tool: Tool, path: str) -> None:
    response = await tool.http.get(f"/api/v1/{path}", headers=tool.partner.headers)
    assert response.status_code == 400
    assert "found 'self'" in response.json()["detail"]
    assert "belongs to a partner" in response.json()["detail"]


async def test_pagination_links_do_not_contain_the_token(tool: Tool) -> None:
    response = await tool.read("/api/v1/users/42/page_views", access_token="x", api_key="y", a="b")
    assert "access_token" not in response.headers["link"]
    assert "api_key" not in response.headers["link"]
    long = await tool.read("/api/v1/users/42/page_views", end_time="x" * 2_900)
    assert len(long.headers["link"]) < 6_144
    assert set(links(long)) == {"last", "current"}


# Analytics


async def test_course_activity_is_counted_by_day(services: Services, tool: Tool) -> None:
    other = await tool.launch("43")
    for item in (tool, tool, other):
        assert (await item.send()).status_code == 200
    path = "/api/v1/courses/9/analytics/activity"
    today = datetime.now(UTC).date().isoformat()
    assert (await tool.read(path)).json() == [{"date": today, "participations": 0, "views": 3}]
    for user, count in (("42", 2), ("43", 1)):
        result = await tool.read(f"/api/v1/courses/9/analytics/users/{user}/activity")
        assert result.json() == {"page_views": {today: count}, "participations": []}


async def test_unknown_user_or_course_has_empty_reports(tool: Tool) -> None:
    assert (await tool.read("/api/v1/users/nobody/page_views")).json() == []
    assert (await tool.read("/api/v1/courses/none/analytics/activity")).json() == []
    assert (await tool.read("/api/v1/courses/none/analytics/student_summaries")).json() == []
    result = await tool.read("/api/v1/courses/none/analytics/users/nobody/activity")
    assert result.json() == {"page_views": {}, "participations": []}


SUMMARIES = "/api/v1/courses/9/analytics/student_summaries"


async def test_student_summaries_have_canvas_levels(services: Services, tool: Tool) -> None:
    """Canvas's example: of 2, 4, 6, 8 and 10 views the quartiles are 3 and 9."""
    for number in range(1, 6):
        launched = await tool.launch(f"student {number}")
        await asyncio.gather(*(launched.send(body("PT1M")) for _ in range(2 * number)))
    result = (await tool.read(SUMMARIES)).json()
    assert [item["id"] for item in result] == [f"student {number}" for number in range(1, 6)]
    assert [item["page_views"] for item in result] == [2, 4, 6, 8, 10]
    assert [item["page_views_level"] for item in result] == [1, 2, 2, 2, 3]
    assert {item["max_page_views"] for item in result} == {10}
    assert result[0] == {
        "id": "student 1", "page_views": 2, "max_page_views": 10, "page_views_level": 1,
        "participations": 0, "max_participations": 0, "participations_level": 0,
        "tardiness_breakdown": {
            "total": 0, "on_time": 0, "late": 0, "missing": 0, "floating": 0,
        },
        "total_activity_time": 120,
    }  # fmt: skip
    for column, order in (
        ("list_page_views", [2, 4, 6, 8, 10]),
        ("page_views_descending", [10, 8, 6, 4, 2]),
        ("name_descending", [10, 8, 6, 4, 2]),
        ("score", [2, 4, 6, 8, 10]),
        ("whatever", [2, 4, 6, 8, 10]),
    ):
        response = await tool.read(SUMMARIES, sort_column=column)
        assert [item["page_views"] for item in response.json()] == order
    (one,) = (await tool.read(SUMMARIES, student_id="student 5")).json()
    assert (one["page_views"], one["page_views_level"], one["max_page_views"]) == (10, 3, 10)
    page = await tool.read(SUMMARIES, per_page=2, page=2)
    assert [item["page_views"] for item in page.json()] == [6, 8]
    assert set(links(page)) == {"current", "next", "prev", "first", "last"}
    last = await tool.http.get(links(page)["last"], headers=tool.partner.headers)
    assert [item["page_views"] for item in last.json()] == [10]
    assert set(links(last)) == {"current", "prev", "first", "last"}
    assert (await tool.read(SUMMARIES, page=9)).json() == []


@pytest.mark.parametrize(
    ("views", "levels"),
    [
        ([5], [3]), ([0], [0]), ([1, 3], [2, 3]), ([0, 0, 4], [0, 0, 3]),
        ([1, 2, 3, 4], [1, 2, 2, 3]), ([2, 4, 6, 8, 10, 12], [1, 2, 2, 2, 2, 3]),
        ([1, 1, 3, 3, 5, 5], [2, 2, 2, 2, 3, 3]), ([2, 4, 8, 16, 32], [1, 2, 2, 2, 3]),
        ([1, 2, 4, 8, 16, 32, 64], [1, 2, 2, 2, 2, 3, 3]), ([3, 3, 3], [3, 3, 3]),
    ],
)  # fmt: skip
async def test_page_view_level_follows_the_quartiles(
    services: Services, tool: Tool, views: list[int], levels: list[int]
) -> None:
    for number, count in enumerate(views):
        await services.database.writers.execute(
            "insert into course_activity (partner_id, course_id, user_id, activity_seconds,"
            " page_views) values ($1, '9', $2, 0, $3)",
            tool.partner.partner_id,
            str(number),
            count,
        )
    result = (await tool.read(SUMMARIES)).json()
    assert [item["page_views_level"] for item in result] == levels


# Authorization


PATHS = [
    "/api/v1/users/42/page_views",
    "/api/v1/users/42/page_views.csv",
    "/api/v1/courses/9/analytics/activity",
    SUMMARIES,
    "/api/v1/courses/9/analytics/users/42/activity",
]


@pytest.mark.parametrize("path", PATHS)
async def test_report_without_scope_returns_403(
    services: Services, http: httpx.AsyncClient, tool: Tool, path: str
) -> None:
    assert (await http.get(path)).status_code == 401
    other = await new_partner(services, http, frozenset({"statements/read", "callbacks/write"}))
    assert (await http.get(path, headers=other.headers)).status_code == 403
    reports = await new_partner(services, http, frozenset({"reports/read"}))
    assert (await http.get(path, headers=reports.headers)).status_code == 200


async def test_page_views_are_isolated_by_partner(tool: Tool, stranger: Partner) -> None:
    assert (await tool.send()).status_code == 200
    for path in PATHS:
        mine = (await tool.http.get(path, headers=tool.partner.headers)).text
        theirs = (await tool.http.get(path, headers=stranger.headers)).text
        assert mine != theirs
        assert "example.com" not in theirs
        assert "42" not in theirs


@pytest.mark.parametrize("user", ["%00", "x" * 256])
async def test_invalid_user_id_returns_404(tool: Tool, user: str) -> None:
    for path in (f"/api/v1/users/{user}/page_views", f"/api/v1/courses/{user}/analytics/activity"):
        response = await tool.http.get(path, headers=tool.partner.headers)
        assert response.status_code == 404
        assert response.json()["code"] == "not-found"


async def test_ids_with_slashes_are_escaped_in_links(tool: Tool) -> None:
    other = await tool.launch("a/b", "c/analytics/users/d")
    assert (await other.send()).status_code == 200
    result = await tool.read("/api/v1/users/a%2Fb/page_views")
    assert len(result.json()) == 1
    assert "/users/a%2Fb/page_views?" in links(result)["current"]
    path = "/api/v1/courses/c%2Fanalytics%2Fusers%2Fd/analytics/users/a%2Fb/activity"
    assert len((await tool.read(path)).json()["page_views"]) == 1
    response = await tool.http.get("/api/v1/users/a/b/page_views", headers=tool.partner.headers)
    assert response.status_code == 404
