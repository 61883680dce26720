"""The result of one check, and the exit status for several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ssmgate.gate import exits


class State(StrEnum):
    """The state of a line. `UNKNOWN`: it could not be checked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check.

    `name` is stable, for programs. `text` is one clause. `fix` is a shell command, a policy
    statement or a web page; it is empty if there is nothing to do.
    """

    name: str
    state: State
    text: str
    fix: str = ""


def ok(name: str, text: str) -> Result:
    """Return the result of a check that found nothing to do."""
    return Result(name, State.OK, text)


def warning(name: str, text: str, fix: str = "") -> Result:
    """Return the result for something that sessions can be started without."""
    return Result(name, State.WARNING, text, fix)


def problem(name: str, text: str, fix: str = "") -> Result:
    """Return the result for something that prevents or endangers sessions."""
    return Result(name, State.PROBLEM, text, fix)


def unknown(name: str, text: str, fix: str = "") -> Result:
    """Return the result of a check that could not be made."""
    return Result(name, State.UNKNOWN, text, fix)


def not_checked(name: str, because: str) -> Result:
    """Return the result of a check that needs the line `because` to be in order."""
    return unknown(name, f"not checked: see '{because}'")


def exit_status(results: Iterable[Result]) -> int:
    """Return 3 if there is a problem, else 4 if something is unknown, else 0."""
    states = {result.state for result in results}
    if State.PROBLEM in states:
        return exits.DENIED
    return exits.UNKNOWN if State.UNKNOWN in states else exits.OK
