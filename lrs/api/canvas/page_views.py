"""Reports of page views, in the shape of Canvas's own APIs, for the partner of the token."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.canvas import pagination
from lrs.api.canvas.pagination import Window
from lrs.api.responses import json_response, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import NotFound
from lrs.store import page_views
from lrs.store.page_views import Order, PageViewRow, UserSummary
from lrs.xapi import canvas_launches

_COLUMNS = [
    "request_id", "user_id", "url", "context_id", "context_type", "asset_id", "asset_type",
    "controller", "action", "interaction_seconds", "created_at", "user_request", "render_time",
    "user_agent", "participated", "account_id", "real_user_id", "http_method", "remote_ip",
]  # fmt: skip

_ORDERS: dict[str, Order] = {
    "name_descending": "name_descending",
    "page_views": "page_views",
    "page_views_descending": "page_views_descending",
}
_NUMBER = re.compile("0|[1-9][0-9]{0,14}")


async def get_page_views(request: Request) -> Response:
    try:
        found, headers = await _page(request)
    except pagination.BadWindow as error:
        return json_response({"error": str(error)}, 400)
    return json_response([_page_view(each) for each in found], headers=headers)


async def get_page_views_csv(request: Request) -> Response:
    try:
        found, headers = await _page(request)
    except pagination.BadWindow as error:
        return json_response({"error": str(error)}, 400)
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS)
    table.writeheader()
    table.writerows(_row(each) for each in found)
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


async def get_course_activity(request: Request) -> Response:
    who = await _reader(request)
    database = request_parsing.services(request).database
    days = await page_views.course_views_by_day(database, who.partner_id, _id(request, "course"))
    return json_response(
        [{"date": day.isoformat(), "participations": 0, "views": count} for day, count in days]
    )


async def get_student_summaries(request: Request) -> Response:
    who, course = await _reader(request), _id(request, "course")
    window = pagination.numbered(request)
    given = request.query_params
    found = await page_views.list_user_summaries(
        request_parsing.services(request).database,
        who.partner_id,
        course,
        user=_student(given.get("student_id")),
        order=_ORDERS.get(given.get("sort_column", ""), "name"),
        limit=window.limit,
        offset=window.skip,
    )
    link = pagination.links_of_total(request, window, found[0].total if found else None)
    return json_response([_summary(each) for each in found], headers={"Link": link})


async def get_user_activity(request: Request) -> Response:
    who = await _reader(request)
    database = request_parsing.services(request).database
    course, user = _id(request, "course"), _id(request, "user")
    days = await page_views.user_views_by_day(database, who.partner_id, course, user)
    return json_response(
        {
            "page_views": {day.isoformat(): count for day, count in days},
            "participations": [],
        }
    )


async def _reader(request: Request) -> Caller:
    who = await request_parsing.caller(request, request_parsing.BEARER)
    scopes.require(who.scopes, scopes.REPORTS_READ)
    request_parsing.parameters(request)
    return who


def _id(request: Request, name: str) -> str:
    """The user or course in the path, whether anything is known of it or not. Raises NotFound."""
    found: str = request.path_params[name]
    if not canvas_launches.is_lms_id(found):
        raise NotFound(f"There is no {name} with this id.")
    return found


def _student(given: str | None) -> str | None:
    if given and not canvas_launches.is_lms_id(given):
        raise NotFound("There is no student with this id.")
    return given or None


async def _page(request: Request) -> tuple[list[PageViewRow], dict[str, str]]:
    who, user = await _reader(request), _id(request, "user")
    window: Window = pagination.window(request)
    found, more = await page_views.list_page_views(
        request_parsing.services(request).database, who.partner_id, user, window.wanted
    )
    last = (found[-1].created_at, found[-1].statement_id) if more else None
    return found, {"Link": pagination.links(request, window, last)}


def _number(text: str) -> int | str:
    """An id as Canvas would write it: its own are numbers."""
    return int(text) if _NUMBER.fullmatch(text) else text


def _page_view(viewed: PageViewRow) -> dict[str, Any]:
    return {
        "id": viewed.statement_id,
        "app_name": None,
        "url": viewed.url,
        "context_type": "Course",
        "asset_type": None,
        "controller": None,
        "action": None,
        "contributed": False,
        "interaction_seconds": float(viewed.interaction_seconds),
        "created_at": timestamp(viewed.created_at),
        "user_request": None,
        "render_time": None,
        "user_agent": None,
        "participated": None,
        "http_method": None,
        "remote_ip": None,
        "links": {
            "user": _number(viewed.user),
            "context": _number(viewed.course),
            "asset": None,
            "real_user": None,
            "account": None,
        },
    }


def _row(viewed: PageViewRow) -> dict[str, Any]:
    return {
        "request_id": viewed.statement_id,
        "user_id": viewed.user,
        "url": viewed.url,
        "context_id": viewed.course,
        "context_type": "Course",
        "interaction_seconds": float(viewed.interaction_seconds),
        "created_at": timestamp(viewed.created_at),
    }


def _summary(summary: UserSummary) -> dict[str, Any]:
    """Nothing is known here of assignments; the time spent is told beside what Canvas tells."""
    return {
        "id": _number(summary.user),
        "page_views": summary.page_views,
        "max_page_views": summary.max_page_views,
        "page_views_level": summary.level,
        "participations": 0,
        "max_participations": 0,
        "participations_level": 0,
        "tardiness_breakdown": dict.fromkeys(
            ("total", "on_time", "late", "missing", "floating"), 0
        ),
        "total_activity_time": summary.activity_seconds,
    }
