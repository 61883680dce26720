"""The members of records about decisions and starts. Loaded only if records are written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ssmgate.gate.decision.decision import Denial, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Caller, ContextEntry
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

if TYPE_CHECKING:
    from ssmgate.gate.records.writer import Recorder


def decision(
    recorder: Recorder,
    caller: Caller | None,
    attempt: SimulationAttempt,
    outcome: Permit | Denial | Unknown | LocalDenial,
    endpoints: Endpoints | None,
    cached_at: float | None,
) -> dict[str, object]:
    """Return the members of a decision's record; arguments as for `Recorder.decision`."""
    starts = isinstance(outcome, Permit) or recorder.permissive
    # Another process may have set the clock since.
    age = None if cached_at is None else max(0.0, round(time.time() - cached_at, 1))
    return {
        "verdict": _verdict(outcome),
        "decided_by": _decided_by(outcome, starts=starts),
        "starts": starts,
        **_asked(recorder, caller, attempt.request),
        "endpoints": endpoints and endpoints.shown(),
        "request_ids": _request_ids(recorder, "SimulatePrincipalPolicy"),
        "evidence": {
            **_why(outcome),
            **({} if age is None else {"cached": True, "cache_age": age}),
            "evaluations": [_evaluation(evaluation) for evaluation in attempt.evaluations],
            # The same for all documents, except aws:ResourceAccount.
            "context": [_context(entry) for entry in attempt.questions[0].context]
            if attempt.questions
            else [],
        },
    }


def start(
    recorder: Recorder,
    caller: Caller | None,
    request: SessionRequest,
    session_id: str,
    endpoints: Endpoints | None,
) -> dict[str, object]:
    """Return the members of a start's record; arguments as for `Recorder.start`."""
    return {
        "session_id": session_id,
        **_asked(recorder, caller, request),
        "endpoints": endpoints and endpoints.shown(),
        "request_ids": _request_ids(recorder, "StartSession"),
    }


def end(
    recorder: Recorder, caller: Caller | None, request: SessionRequest, session_id: str
) -> dict[str, object]:
    """Return the members of the end of a session that are known when it starts."""
    asked = _asked(recorder, caller, request)
    names = ("caller", "target", "document", "access_key_id")
    return {"session_id": session_id, **{name: asked[name] for name in names}}


def _verdict(outcome: Permit | Denial | Unknown | LocalDenial) -> str:
    if isinstance(outcome, Permit):
        return "unknown" if outcome.left_to_service else "allowed"
    return "unknown" if isinstance(outcome, Unknown) else "denied"


def _decided_by(outcome: Permit | Denial | Unknown | LocalDenial, *, starts: bool) -> str:
    """Return what decided whether the session starts."""
    if isinstance(outcome, Permit):
        return "service" if outcome.left_to_service else "simulation"
    if starts:
        return "permissive"
    return "rules" if isinstance(outcome, LocalDenial) else "simulation"


def _request_ids(recorder: Recorder, operation: str) -> dict[str, list[str]]:
    return {operation: list(recorder.seen.get(operation, ()))}


def _parameters(request: SessionRequest, wanted: str) -> dict[str, list[str] | None] | None:
    """Return the session's parameters as `record.parameters` wants them, None for no parameters."""
    if request.parameters is None or wanted == "none":
        return None
    return {name: list(values) if wanted == "all" else None for name, values in request.parameters}


def _asked(recorder: Recorder, caller: Caller | None, request: SessionRequest) -> dict[str, object]:
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
        "parameters": _parameters(request, recorder.records.parameters),
        "access_key_id": recorder.seen.get("access_key_id"),
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


def _context(entry: ContextEntry) -> dict[str, object]:
    return {"key": entry.key_name, "type": entry.key_type, "values": list(entry.values)}


def _why(outcome: Permit | Denial | Unknown | LocalDenial) -> dict[str, object]:
    if isinstance(outcome, Permit) and outcome.left_to_service:
        outcome = outcome.left_to_service
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
                "layer": outcome.denial.layer.value if outcome.denial else None,
                "live_context": list(outcome.live_context),
            }
        case LocalDenial():
            return {
                "reason_code": outcome.reason_code.value,
                "rule": outcome.rule,
                "reason": outcome.reason,
            }
    return {"reason_code": Reason.ALLOWED.value}
