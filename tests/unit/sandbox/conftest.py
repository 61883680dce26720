"""The agent that the tests of data channels share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.agents import Running, running_agent
from ssmgate.gate.aws import late

# The modules of moto derive classes from these, for which tests of the gate may have put
# placeholders into this process. The sandbox's own process never has them.
for name in late.LOADED_LATE:
    late.load(name)


@pytest.fixture
def running() -> Iterator[Running]:
    with running_agent() as agent:
        yield agent
