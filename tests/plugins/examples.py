"""How many examples hypothesis tries: few by default, all with `--full`, more for hours."""

from __future__ import annotations

import pytest
from hypothesis import settings

USUAL = 1 / 3

_factor = {"is": 1.0}


def examples(count: int) -> int:
    """Return the settings for `count` examples, the number with `--full`."""
    return max(10, int(count * _factor["is"]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--examples", type=float, metavar="FACTOR",
        help="how many times the examples of --full hypothesis tries",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.option.examples is None:
        config.option.examples = 1.0 if config.option.full else USUAL
    _factor["is"] = config.option.examples
    # A busy machine is not a failure.
    settings.register_profile("ssmgate", deadline=None, max_examples=examples(100))
    settings.load_profile("ssmgate")
