"""Page view reports in the format of Canvas's APIs, for the partner of the token."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, request_parsing
from lrs.api.canvas import page_urls, pagination
from lrs.api.responses import csv_response, json_response, timestamp
from lrs.auth import scopes
from lrs.auth.authenticate import Caller
from lrs.errors import InvalidParameter, NotFound
from lrs.reports import csv_cells
from lrs.store import page_views
from lrs.store.page_views import Order, PageViewRow, UserSummary
from lrs.store.postgres import Database
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
    """Canvas: List user page views."""
    try:
        views, headers = await _page(request)
    except pagination.InvalidTimeWindow as error:
        return json_response({"error": str(error)}, 400)
    return json_response([_page_view(view) for view in views], headers=headers)


async def get_page_views_csv(request: Request) -> Response:
    """Canvas's download of the newest page views of a user."""
    try:
        views, headers = await _page(request, pagination.CSV_ROWS)
    except pagination.InvalidTimeWindow as error:
        return json_response({"error": str(error)}, 400)
    raw = request.query_params.get("raw") == "true"
    text = csv_cells.write_csv(_COLUMNS, map(_csv_row, views), raw=raw)
    return csv_response(text, "page_views.csv", headers)


async def get_course_activity(request: Request) -> Response:
    """Canvas: Get course-level participation data."""
    caller = await _authorize(request)
    course = _path_id(request, "course")
    days = await page_views.course_views_by_day(_database(request), caller.partner_id, course)
    return json_response(
        [{"date": day.isoformat(), "participations": 0, "views": count} for day, count in days]
    )


async def get_student_summaries(request: Request) -> Response:
    """Canvas: Get course-level student summary data."""
    caller = await _authorize(request)
    course = _path_id(request, "course")
    page = pagination.numbered_page(request)
    summaries = await page_views.list_user_summaries(
        _database(request),
        caller.partner_id,
        course,
        user=_student_id(request),
        order=_ORDERS.get(request.query_params.get("sort_column", ""), "name"),
        limit=page.limit,
        offset=page.offset,
    )
    link = pagination.link_of_numbered_page(
        request, page, summaries[0].total if summaries else None
    )
    return json_response([_summary(summary) for summary in summaries], headers={"Link": link})


async def get_user_activity(request: Request) -> Response:
    """Canvas: Get user-in-a-course-level participation data."""
    caller = await _authorize(request)
    course, user = _path_id(request, "course"), _path_id(request, "user")
    days = await page_views.user_views_by_day(_database(request), caller.partner_id, course, user)
    return json_response(
        {
            "page_views": {day.isoformat(): count for day, count in days},
            "participations": [],
        }
    )


async def _authorize(request: Request) -> Caller:
    caller = await access.authorize(request, access.BEARER, scopes.REPORTS_READ)
    request_parsing.query_parameters(request)  # raises InvalidParameter if they are not UTF-8
    return caller


def _database(request: Request) -> Database:
    return request_parsing.services(request).database


def _path_id(request: Request, parameter: str) -> str:
    """The user or course in the path, stored or not. Raises NotFound if it is no valid id."""
    value: str = request.path_params[parameter]
    if not canvas_launches.is_lms_id(value):
        raise NotFound(f"Invalid {parameter} id.")
    if parameter == "user":
        _refuse_self(value, parameter)
    return value


def _student_id(request: Request) -> str | None:
    value = request.query_params.get("student_id")
    if value and not canvas_launches.is_lms_id(value):
        raise NotFound("Invalid student id.")
    _refuse_self(value, "student_id")
    return value or None


def _refuse_self(user: str | None, parameter: str) -> None:
    """Raises InvalidParameter for Canvas's name of the user of an access token."""
    if user == "self":
        raise InvalidParameter(
            f"{parameter}: expected the id of a user, found 'self'. An access token of this server "
            "belongs to a partner and not to a user."
        )


async def _page(
    request: Request, sizes: pagination.PageSizes = pagination.JSON_ROWS
) -> tuple[list[PageViewRow], dict[str, str]]:
    """A page of page views, and the Link header. Raises InvalidTimeWindow."""
    caller = await _authorize(request)
    user = _path_id(request, "user")
    page = pagination.bookmarked_page(request, sizes)
    views, has_more = await page_views.list_page_views(
        _database(request), caller.partner_id, user, page.filter
    )
    last = (views[-1].created_at, views[-1].statement_id) if has_more else None
    return views, {"Link": pagination.link_of_bookmarked_page(request, page, last)}


def _canvas_id(text: str) -> int | str:
    """A number if it is written like one of Canvas's own ids."""
    return int(text) if _NUMBER.fullmatch(text) else text


def _page_view(view: PageViewRow) -> dict[str, Any]:
    return {
        "id": view.statement_id,
        "app_name": None,
        "url": page_urls.mask_secrets(view.url) or None,
        "context_type": "Course",
        "asset_type": None,
        "controller": None,
        "action": None,
        "contributed": False,
        "interaction_seconds": float(view.interaction_seconds),
        "created_at": timestamp(view.created_at),
        "user_request": None,
        "render_time": None,
        "user_agent": None,
        "participated": None,
        "http_method": None,
        "remote_ip": None,
        "links": {
            "user": _canvas_id(view.user),
            "context": _canvas_id(view.course),
            "asset": None,
            "real_user": None,
            "account": None,
        },
    }


def _csv_row(view: PageViewRow) -> dict[str, Any]:
    return {
        "request_id": view.statement_id,
        "user_id": view.user,
        "url": page_urls.mask_secrets(view.url),
        "context_id": view.course,
        "context_type": "Course",
        "interaction_seconds": float(view.interaction_seconds),
        "created_at": timestamp(view.created_at),
    }


def _summary(summary: UserSummary) -> dict[str, Any]:
    """Canvas's members, those about assignments empty, and `total_activity_time` in seconds."""
    return {
        "id": _canvas_id(summary.user),
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
