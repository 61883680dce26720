"""How many processes `-n auto` runs: more than there are cores, as most tests wait for programs."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

EXTRA = 2
"""With none, two cores were busy for 59 % of the time."""


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    workers = yield
    return workers if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else workers + EXTRA
