"""Records: one JSON object for each decision and each start, to a file and to syslog."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from ssmgate import __version__
from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.decision import Denial, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial
from ssmgate.gate.system import signals

START_SECONDS = 10
"""How long the record of a start may take, while the session waits for its plugin."""


Members = Mapping[str, object] | Callable[[Any], Mapping[str, object]]
"""The members of a record, or what returns them, called with the module `records.members`."""


@frozen
class Recorder:
    """Writes the records of one start as `records` configures. They share `decision_id`.

    `environ` is the caller's, `pid` the process that becomes the plugin. Callers add to `versions`
    when further ones are known. `seen` has what `watch` saw.
    """

    records: Records
    environ: Mapping[str, str] = field(repr=False)
    permissive: bool = False
    decision_id: str = field(default_factory=lambda: os.urandom(16).hex())
    versions: dict[str, str] = field(default_factory=lambda: {"ssmgate": __version__})
    pid: int = field(default_factory=os.getpid)
    seen: dict[str, Any] = field(default_factory=dict)

    def watch(self, clients: Any) -> Any:
        """Return `clients`, whose access key id and request ids the records will contain."""
        if not self._writes:
            return clients
        from ssmgate.gate.records import watch

        return watch.watched(clients, self.seen)

    def decision(
        self,
        caller: Caller | None,
        attempt: SimulationAttempt,
        outcome: Permit | Denial | Unknown | LocalDenial,
        *,
        cached_at: float | None = None,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record a decision. Return the error, empty if there is none.

        `outcome` is that of `attempt`, or a denial by a rule of this machine. `cached_at` is when
        IAM's answers were cached, None if they were not. `endpoints` are those that answered.
        Raises `RecordNotWritten` if the session would start, and a record is required.
        """
        permitted = isinstance(outcome, Permit)
        starts = permitted or self.permissive
        facts = (self, caller, attempt, outcome, endpoints, cached_at)
        problem = self.write("decision", lambda of: of.decision(*facts), notable=not permitted)
        return self._raise_if_required(problem) if starts else problem

    def start(
        self,
        caller: Caller | None,
        request: SessionRequest,
        session_id: str,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record a started session. Returns and raises as `decision`."""
        facts = (self, caller, request, session_id, endpoints)
        try:
            with signals.time_limit(START_SECONDS):
                problem = self.write("start", lambda of: of.start(*facts))
        except signals.TimeLimitExceeded:
            problem = f"it took longer than {START_SECONDS} s"
        return self._raise_if_required(problem)

    def end(self, caller: Caller | None, request: SessionRequest, session_id: str) -> Sequence[str]:
        """Return what records the end of a session: Python, an option and an argument.

        Empty if it is not recorded. The argument contains no token and no credentials.
        """
        if not self._writes:
            return ()
        from ssmgate.gate.records import end, members

        return end.command(self, members.end(self, caller, request, session_id))

    def write(self, event: str, members: Members, *, notable: bool = False) -> str:
        """Write one record to the file and to syslog. Return the error, empty if there is none.

        `members` are written unchanged: they must not contain a token or credentials. `notable`
        gives the record syslog's severity "warning".
        """
        records = self.records
        if not self._writes:
            return "neither record.file nor record.syslog is set" if records.required else ""
        # Imported only here, as most starts write no record.
        from ssmgate.gate.records import delivery

        return delivery.write(self, event, members, notable=notable)

    @property
    def _writes(self) -> bool:
        return bool(self.records.file or self.records.syslog)

    def _raise_if_required(self, problem: str) -> str:
        if problem and self.records.required:
            raise RecordNotWritten(
                f"cannot write the audit record, and record.required is set: {problem}"
            )
        return problem
