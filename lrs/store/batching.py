"""Questions that are asked at the same time, and answered by one query.

A query belongs to none of those who asked, so it runs in no one's context; to each of them, the
time it waits counts as the database's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

from lrs.observability.server_timing import stage

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

_AT_ONCE = 100


class Together(Generic[Question, Answer]):
    """Questions that come while others are being answered are asked together, in the next query.

    None joins a query that is under way, since that one may already have looked; and a lone one
    waits for no other, but for two turns of the loop.
    """

    def __init__(self, ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def answer(self, question: Question) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work(), context=Context())
        with stage("database"):
            return await future

    async def _work(self) -> None:
        while self._waiting:
            # One turn for those who have just been answered to send it, one for what they ask next:
            # without, queries for one and for all the others take turns.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asked, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            try:
                answers = await self._ask([question for question, _ in asked])
            except Exception as error:
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(asked, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        self._working = None


class Once(Generic[Question, Answer]):
    """A question that is asked again while it is being answered is answered once.

    A question must say as of when it is asked: a query under way does not see what has been stored
    since it began.
    """

    def __init__(self, ask: Callable[[Question], Coroutine[Any, Any, Answer]]) -> None:
        self._ask = ask
        self._asked: dict[Question, asyncio.Task[Answer]] = {}

    async def answer(self, question: Question) -> Answer:
        task = self._asked.get(question)
        if task is None:
            task = asyncio.create_task(self._ask(question), context=Context())
            task.add_done_callback(lambda _: self._asked.pop(question))
            self._asked[question] = task
        with stage("database"):
            return await asyncio.shield(task)
