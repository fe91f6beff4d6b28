"""Programs of the system that tests need."""

from __future__ import annotations

import os
import shutil

import pytest


def find_program(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Skips the test if none is, or fails in CI.
    """
    directories = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    for name in names:
        if program := shutil.which(name, path=directories):
            return program
    message = f"{names[0]} is not installed"
    if "CI" in os.environ:
        pytest.fail(message)
    pytest.skip(message)
