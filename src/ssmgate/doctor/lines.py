"""Collect results whose checks depend on each other."""

from __future__ import annotations

from collections.abc import Iterable

from ssmgate.doctor.results import Result, State, not_checked

NAMES = (
    "region",
    "credentials",
    "endpoints",
    "clock",
    "STS",
    "IAM",
    "SSM",
    "simulation",
    "role path",
    "default document",
    "document access",
    "document check",
    "data channel",
    "termination",
)
"""The lines about AWS, in the order of the report."""

IMAGINARY_TARGET = "i-00000000000000000"
"""Simulated if the command line names no target."""


class StopError(Exception):
    """The remaining lines cannot be checked before the line `because` is in order."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


class Lines:
    """Results by name, the first result of each name."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}

    def add(self, result: Result) -> None:
        """Add `result`."""
        self.results.setdefault(result.name, result)

    def require(self, result: Result) -> None:
        """Add `result`. Raises `StopError` if it is a problem."""
        self.add(result)
        if result.state is State.PROBLEM:
            raise StopError(result.name)

    def stop_if(self, because: str) -> None:
        """Raise `StopError` if `because`, the name of a line, is not empty."""
        if because:
            raise StopError(because)

    def fill(self, names: Iterable[str], because: str) -> None:
        """Add a result for each of `names` without one: not checked, see the line `because`."""
        for name in names:
            self.add(not_checked(name, because))

    def is_problem(self, name: str) -> bool:
        """Return whether there is a problem in the line `name`."""
        return name in self.results and self.results[name].state is State.PROBLEM
