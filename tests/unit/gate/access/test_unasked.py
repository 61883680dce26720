"""What is left to the service if IAM cannot be asked, and what never is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fakes.tagged_documents import ON_A, USER, A
from ssmgate.gate.access.authorize import Authorization
from ssmgate.gate.access.unasked import left_to_service
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import (
    Denial,
    Layer,
    Permit,
    SimulationAttempt,
    Unknown,
    leave_to_service,
)
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import UnknownReason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import Restrictions

SERVICE = Config(on_unknown="service")
UNNAMED = SessionRequest("i-1", reason="TICKET-1")
NAMED = SessionRequest("i-1", "Dev-Shell")
NOT_ALLOWED = Unknown(Reason.NOT_ALLOWED_TO_SIMULATE, "the caller may not simulate", ON_A)
ASKABLE: tuple[UnknownReason, ...] = (
    Reason.CONTRADICTION, Reason.EXPIRED, Reason.FAILED, Reason.GRANT_UNKNOWN, Reason.IDENTITY,
    Reason.KEYS_NOT_LISTABLE, Reason.LIVE_CONTEXT, Reason.LIVE_DENY, Reason.NO_ANSWER,
    Reason.NO_QUESTION, Reason.OTHER_ACCOUNT, Reason.TAGS_DENY, Reason.TAGS_UNKNOWN,
    Reason.THROTTLED, Reason.TIMED_OUT, Reason.UNREACHABLE, Reason.UNREADABLE,
)  # fmt: skip
UNASKABLE: tuple[UnknownReason, ...] = (
    Reason.FEDERATED_USER, Reason.NOT_ALLOWED_TO_SIMULATE, Reason.ROOT, Reason.SIMULATION_DENIED,
)  # fmt: skip


def authorization(decision: Any, request: SessionRequest = UNNAMED, **members: Any) -> Any:
    attempt = SimulationAttempt(request, (ON_A,), (), decision)
    invocation: Any = None
    return Authorization(invocation, invocation, USER, replace(attempt, **members))


@pytest.mark.parametrize("reason_code", UNASKABLE)
@pytest.mark.parametrize(
    ("request_", "name"), [(UNNAMED, DEFAULT_DOCUMENT_NAME), (NAMED, "Dev-Shell")]
)
def test_leaves_request_to_service_with_document_named(
    reason_code: UnknownReason, request_: SessionRequest, name: str
) -> None:
    unknown = Unknown(reason_code, "IAM cannot be asked")

    left = left_to_service(authorization(unknown, request_, questions=()), SERVICE)

    permit = left.decision
    assert isinstance(permit, Permit)
    assert (
        permit.request
        == left.attempt.request
        == replace(request_, document_name=name, member_order=permit.request.member_order)
    )
    assert (permit.left_to_service, permit.overridden) == (unknown, None)
    assert permit.spelled_out() is None


@pytest.mark.parametrize(
    "decision",
    [
        *(Unknown(code, "no answer", ON_A) for code in ASKABLE),
        Denial(Reason.IMPLICIT_DENY, ON_A, Layer.IDENTITY),
        Permit(UNNAMED),
    ],
)
def test_other_decisions_stay_unchanged(decision: Any) -> None:
    found = authorization(decision)

    assert left_to_service(found, SERVICE) is found


def test_leaves_nothing_to_service_after_answer_of_iam() -> None:
    answer = Evaluation(A, EvalDecision.IMPLICIT_DENY)
    found = authorization(NOT_ALLOWED, evaluations=(answer,))

    assert left_to_service(found, SERVICE) is found


RULES = Restrictions(documents_deny=("Dev-*",))


@pytest.mark.parametrize(
    ("config", "members", "left"),
    [
        (SERVICE, {}, True),
        (replace(SERVICE, rules=RULES), {}, True),
        (replace(SERVICE, rules=RULES), {"questions": ()}, False),
        (replace(SERVICE, allow_wildcard_grants=False), {}, False),
    ],
)
def test_leaves_request_to_service_only_if_local_rules_were_applied(
    config: Config, members: dict[str, Any], left: bool
) -> None:
    found = left_to_service(authorization(NOT_ALLOWED, **members), config)

    assert isinstance(found.decision, Permit) is left


@pytest.mark.parametrize(
    ("request_", "unknown"),
    [(UNNAMED, NOT_ALLOWED), *((NAMED, Unknown(code, "no answer")) for code in ASKABLE)],
)
def test_rejects_permit_for_other_requests_and_reasons(
    request_: SessionRequest, unknown: Unknown
) -> None:
    with pytest.raises(ValueError, match="not left to the service"):
        leave_to_service(request_, unknown)
