"""Call AWS in the background, with time limits, and note how each call ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ssmgate.gate import waiting
from ssmgate.gate.aws import errors
from ssmgate.gate.decision.reason import Reason

T = TypeVar("T")


class OutOfTimeError(Exception):
    """A step took too long. It may still be running."""


class Step(Generic[T]):
    """A function that runs in a thread of its own; a terminal shows that a wait is for `what`.

    Not even a name server that does not answer, which no time-out of a client covers, delays the
    report: the thread then continues in the background.
    """

    def __init__(self, function: Callable[[], T], what: str = "AWS") -> None:
        self._function, self._what = function, what
        self._result: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._function())
        except Exception as error:
            self._error = error

    def result(self, until: float) -> T:
        """Return the function's result, or raise its error.

        Raises `OutOfTimeError` if it is not there at `until`, a time of `time.monotonic`.
        """
        with waiting.notice(self._what):
            self._thread.join(max(until - time.monotonic(), 0))
        if self._error is not None:
            raise self._error
        if not self._result:
            raise OutOfTimeError
        return self._result[0]


@dataclass(slots=True)
class Call:
    """One call. `seconds` is None while it has not ended, `error` is None if it succeeded."""

    operation: str
    began_at: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    error: Exception | None = None
    date: tuple[float, str] | None = None

    @property
    def answered(self) -> bool:
        """Return whether the service answered, be it with an error."""
        return self.seconds is not None and (self.error is None or bool(_response(self.error)))

    @property
    def error_code(self) -> str:
        """Return the code of the service's error, empty if there is none."""
        return str(_response(self.error).get("Error", {}).get("Code", ""))

    def obstacle(self) -> tuple[Reason, str] | None:
        """Return why the service did not answer, with the hint of a start; None if it did."""
        if self.answered:
            return None
        if self.error is None:
            return Reason.TIMED_OUT, ""
        unknown = errors.cannot_ask(self.error)
        return unknown.reason_code, "; ".join([unknown.reason, *unknown.hints[:1]])

    def elapsed(self) -> float:
        """Return the seconds that the call took, or has taken until now."""
        return time.monotonic() - self.began_at if self.seconds is None else self.seconds


class Watched:
    """A client whose calls are noted in `calls`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        """Return the client's attribute; a method notes its call."""
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute

        def noted(**arguments: Any) -> Any:
            call = Call(name)
            self.calls.append(call)
            answer: Any = {}
            try:
                answer = attribute(**arguments)
            except Exception as error:
                call.error = error
                answer = _response(error)
                raise
            finally:
                call.date = _date(answer)
                call.seconds = time.monotonic() - call.began_at
            return answer

        return noted

    def outcome(self) -> Call | None:
        """Return the first call that was answered, else the first one, None if there is none."""
        calls = list(self.calls)
        return next((call for call in calls if call.answered), calls[0] if calls else None)

    def dates(self) -> list[tuple[float, str]]:
        """Return the Date headers of the answers, each with this clock's time at receipt."""
        return [call.date for call in list(self.calls) if call.date is not None]


def _response(error: Exception | None) -> Mapping[str, Any]:
    """Return the service's answer in a `ClientError`, empty for other errors."""
    response = getattr(error, "response", None)
    return response if isinstance(response, Mapping) else {}


def _date(answer: Mapping[str, Any]) -> tuple[float, str] | None:
    header = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return (time.time(), header) if isinstance(header, str) else None
