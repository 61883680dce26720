"""Lines that a test reports at the end of the run: what it measured, whether it passes or not."""

from __future__ import annotations

from typing import Any

import pytest

_notes: list[str] = []


def note(line: str) -> None:
    """Report `line` at the end of the run."""
    _notes.append(line)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _notes.extend(getattr(node, "workeroutput", {}).get("notes", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["notes"] = list(_notes)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _notes:
        terminalreporter.write_line(line)
