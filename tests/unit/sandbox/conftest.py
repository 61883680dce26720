"""The agent that the tests of data channels share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.agents import Running, running_agent


@pytest.fixture
def running() -> Iterator[Running]:
    with running_agent() as agent:
        yield agent
