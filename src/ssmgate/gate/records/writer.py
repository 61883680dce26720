"""Records: one JSON object for each decision and each start, to a file and to syslog."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime

from ssmgate import __version__
from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.decision import Denial, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, ContextEntry
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial
from ssmgate.gate.system import signals

SCHEMA_VERSION = 2
"""Raised when a member goes or changes its meaning; a new one does not raise it."""

START_SECONDS = 10
"""How long the record of a start may take, while the session waits for its plugin."""


@frozen
class Recorder:
    """Writes the records of one start, as `records` wants them. They share `decision_id`.

    `environ` is the caller's. `versions` may be added to when they are known.
    """

    records: Records
    environ: Mapping[str, str] = field(repr=False)
    permissive: bool = False
    decision_id: str = field(default_factory=lambda: os.urandom(16).hex())
    versions: dict[str, str] = field(default_factory=lambda: {"ssmgate": __version__})

    def decision(
        self,
        caller: Caller | None,
        look: SimulationAttempt,
        outcome: Permit | Denial | Unknown | LocalDenial,
        *,
        cached: bool = False,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record what was decided. Returns what kept it from being recorded, empty if nothing.

        `outcome` is that of `look`, or what a rule of the machine's made of it. `cached`: IAM
        answered an earlier start. `endpoints` are where it was asked. Raises `RecordNotWritten`
        where the record was required for what would start now.
        """
        permitted = isinstance(outcome, Permit)
        starts = permitted or self.permissive
        members = {
            "verdict": _verdict(outcome),
            "starts": starts,
            **_asked(caller, look.request),
            "endpoints": endpoints and endpoints.shown(),
            "evidence": {
                **_why(outcome),
                **({"cached": True} if cached else {}),
                "evaluations": [_evaluation(evaluation) for evaluation in look.evaluations],
                # The same for all documents but the account that owns one.
                "context": [_told(entry) for entry in look.questions[0].context]
                if look.questions
                else [],
            },
        }
        problem = self.write("decision", members, notable=not permitted)
        return self._heed(problem) if starts else problem

    def start(
        self,
        caller: Caller | None,
        request: SessionRequest,
        session_id: str,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record the session that was started. Returns and raises as `decision`."""
        members = {
            "session_id": session_id,
            **_asked(caller, request),
            "endpoints": endpoints and endpoints.shown(),
        }
        try:
            with signals.time_limit(START_SECONDS):
                problem = self.write("start", members)
        except signals.TimeLimitExceeded:
            problem = f"it took longer than {START_SECONDS} s"
        return self._heed(problem)

    def write(self, event: str, members: Mapping[str, object], *, notable: bool = False) -> str:
        """Write one record everywhere it should be. Returns what went wrong, empty if nothing.

        `members` hold no token and no credentials: they are written as they are. `notable` gives
        it syslog's severity "warning".
        """
        records = self.records
        if not (records.file or records.syslog):
            return "neither record.file nor record.syslog is set" if records.required else ""
        # Here, as most starts leave no record.
        from ssmgate.gate.records import delivery

        person = delivery.LocalUser.here(self.environ)
        record = {
            "schema_version": SCHEMA_VERSION,
            "event": event,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "decision_id": self.decision_id,
            "mode": "permissive" if self.permissive else "enforce",
            "unix": {
                "user": person.user,
                "uid": person.uid,
                "login_uid": person.login_uid,
                "ssh_connection": person.ssh_connection,
            },
            **members,
            "versions": self.versions,
        }
        return delivery.deliver(records, record, person.user, notable=notable)

    def _heed(self, problem: str) -> str:
        if problem and self.records.required:
            raise RecordNotWritten(
                f"refused: this could not be recorded, and record.required is set: {problem}"
            )
        return problem


def _verdict(outcome: Permit | Denial | Unknown | LocalDenial) -> str:
    if isinstance(outcome, Permit):
        return "allowed"
    return "unknown" if isinstance(outcome, Unknown) else "denied"


def _asked(caller: Caller | None, request: SessionRequest) -> dict[str, object]:
    return {
        "caller": caller
        and {
            "arn": caller.caller_arn,
            "account": caller.account,
            "policy_source_arn": caller.policy_source_arn,
        },
        "target": request.target,
        "document": request.document_name or DEFAULT_DOCUMENT_NAME,
        "document_named": request.document_name is not None,
        "reason": request.reason,
    }


def _evaluation(evaluation: Evaluation) -> dict[str, object]:
    return {
        "document_arn": evaluation.resource_arn,
        "decision": evaluation.eval_decision.value,
        "matched_statements": [
            {
                "policy": statement.source_policy_id,
                "policy_type": statement.source_policy_type,
                "line": statement.start[0] if statement.start else None,
            }
            for statement in evaluation.matched_statements
        ],
    }


def _told(entry: ContextEntry) -> dict[str, object]:
    return {"key": entry.key_name, "type": entry.key_type, "values": list(entry.values)}


def _why(outcome: Permit | Denial | Unknown | LocalDenial) -> dict[str, object]:
    match outcome:
        case Denial():
            return {
                "reason_code": outcome.reason_code.value,
                "document_arn": outcome.question.resource_arn,
                "layer": outcome.layer.value,
                "matched_policies": list(outcome.matched_policies),
                "missing_context": list(outcome.missing_context),
            }
        case Unknown():
            question = outcome.question
            return {
                "reason_code": outcome.reason_code.value,
                "document_arn": question.resource_arn if question else None,
                "reason": outcome.reason,
                "live_context": list(outcome.live_context),
            }
        case LocalDenial():
            return {
                "reason_code": outcome.reason_code.value,
                "rule": outcome.rule,
                "reason": outcome.reason,
            }
    return {"reason_code": Reason.ALLOWED.value}
