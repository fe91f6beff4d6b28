"""Fixtures of the document tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.documents import RESOURCES, VERSIONS, Resource
from tests.support.partners import Partner


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS.keys())
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(version: str, partner: Partner) -> Callable[..., Resource]:
    def made(kind: str, of: Partner = partner) -> Resource:
        return Resource(*RESOURCES[kind], version, of)

    return made


@pytest.fixture(params=RESOURCES)
def resource(request: pytest.FixtureRequest, make: Callable[..., Resource]) -> Resource:
    return make(request.param)


@pytest.fixture
def state(make: Callable[..., Resource]) -> Resource:
    return make("state")


@pytest.fixture
def profile(make: Callable[..., Resource]) -> Resource:
    return make("agent profile")
