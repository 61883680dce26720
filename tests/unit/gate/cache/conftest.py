"""Provide a home, its cache, and the warnings of the cache."""

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
def warnings() -> list[object]:
    return []


@pytest.fixture
def directory(home: Path, warnings: list[object]) -> DecisionCache:
    return DecisionCache(str(home), warnings.append)
