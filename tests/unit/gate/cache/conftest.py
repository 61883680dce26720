"""What the tests of the cache have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssmgate.gate.cache.store import DecisionCache


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    return home


@pytest.fixture
def told() -> list[object]:
    return []


@pytest.fixture
def directory(home: Path, told: list[object]) -> DecisionCache:
    return DecisionCache(str(home), told.append)
