"""Which calls the questions of one or more requests take, and the decisions from the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from fakes.simulations import ARN, OTHER, answer, entry, result, several
from ssmgate.gate.access import controls, evaluate, shared_simulation
from ssmgate.gate.decision.controls import control_arn
from ssmgate.gate.decision.decision import Denial, Layer, Permit, Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ALICE = "arn:aws:iam::111122223333:user/alice"
DEV, OPS = SessionRequest("i-1", "Dev-Shell"), SessionRequest("i-1", "Other")
ABOUT_DEV, ABOUT_OPS = Question(ALICE, ARN, ()), Question(ALICE, OTHER, ())
CONTROL, OTHER_CONTROL = control_arn(ARN), control_arn(OTHER)
NAMES = {
    "SourcePolicyId": "user_alice_A",
    "SourcePolicyType": "IAM Policy",
    "StartPosition": {"Line": 3, "Column": 5},
    "EndPosition": {"Line": 9, "Column": 6},
}
UNPLACED = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}


class Iam:
    """IAM's simulator with a decision for each document: the first of some, then the next one."""

    def __init__(self, decisions: dict[str, Any], **members: Any) -> None:
        self.decisions = decisions
        self.members = members
        self.calls: list[dict[str, Any]] = []

    @property
    def asked(self) -> list[list[str]]:
        return [call["ResourceArns"] for call in self.calls]

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        entries = [self._entry(arn) for arn in request["ResourceArns"]]
        if len(entries) == 1:
            (one,) = entries
            decision = one["EvalResourceDecision"]
            arn = one["EvalResourceName"]
            return answer(
                result(
                    decision, EvalResourceName=arn, ResourceSpecificResults=entries, **self.members
                )
            )
        return several("implicitDeny", *entries, **self.members)

    def _entry(self, arn: str) -> dict[str, Any]:
        decision = self.decisions.get(arn, "implicitDeny")
        if isinstance(decision, Exception):
            raise decision
        matched = [NAMES] if decision == "allowed" else []
        return entry(decision, arn, MatchedStatements=matched)


def simulated(
    iam: Iam,
    *requests: tuple[SessionRequest, tuple[Question, ...]],
    allow_wildcard_grants: bool = True,
) -> list[Any]:
    return evaluate.simulate_requests(iam, requests, allow_wildcard_grants)


def test_allowed_document_takes_one_call() -> None:
    iam = Iam({ARN: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV,)))

    assert attempt.decision == Permit(DEV)
    assert (attempt.request, attempt.questions, attempt.controls) == (DEV, (ABOUT_DEV,), ())
    assert [one.resource_arn for one in attempt.evaluations] == [ARN]
    assert iam.asked == [[ARN]]
    assert "PermissionsBoundaryPolicyInputList" not in iam.calls[0]


def test_no_request_takes_no_call() -> None:
    iam = Iam({})

    assert simulated(iam) == []
    assert iam.calls == []


def test_denies_request_unless_each_possible_document_is_allowed() -> None:
    iam = Iam({ARN: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)))

    assert attempt.decision == Denial(Reason.IMPLICIT_DENY, ABOUT_OPS, Layer.IDENTITY)
    assert [one.resource_arn for one in attempt.evaluations] == [ARN, OTHER]
    assert iam.asked == [[ARN], [OTHER]]


def test_simulates_second_document_after_denial_of_first() -> None:
    iam = Iam({OTHER: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)))

    assert attempt.decision == Denial(Reason.IMPLICIT_DENY, ABOUT_DEV, Layer.IDENTITY)
    assert iam.asked == [[ARN], [OTHER]]


def test_simulates_nothing_more_for_request_after_missing_answer() -> None:
    iam = Iam({ARN: OSError("no route"), OTHER: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)))

    assert isinstance(attempt.decision, Unknown)
    assert attempt.decision.question == ABOUT_DEV
    assert (attempt.evaluations, iam.asked) == ((), [[ARN]])


def test_answers_before_missing_one_do_not_permit() -> None:
    iam = Iam({ARN: "allowed", OTHER: OSError("no route")})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)))

    assert isinstance(attempt.decision, Unknown)
    assert [one.resource_arn for one in attempt.evaluations] == [ARN]


def test_missing_answer_does_not_affect_other_requests() -> None:
    team = Question(ALICE, OTHER, (ContextEntry("aws:ResourceTag/Team", "string", ("ops",)),))
    iam = Iam({ARN: OSError("no route"), OTHER: "allowed"})

    first, second = simulated(iam, (DEV, (ABOUT_DEV,)), (OPS, (team,)))

    assert isinstance(first.decision, Unknown)
    assert second.decision == Permit(OPS)


def test_simulates_requests_for_different_documents_in_one_call() -> None:
    iam = Iam({ARN: "allowed"})

    first, second = simulated(iam, (DEV, (ABOUT_DEV,)), (OPS, (ABOUT_OPS,)))

    assert first.decision == Permit(DEV)
    assert second.decision == Denial(Reason.IMPLICIT_DENY, ABOUT_OPS, Layer.IDENTITY)
    assert iam.asked == [[ARN, OTHER]]


def test_simulates_first_documents_of_all_requests_before_second() -> None:
    iam = Iam({ARN: "allowed", OTHER: "allowed"})

    first, second = simulated(iam, (DEV, (ABOUT_DEV,)), (OPS, (ABOUT_OPS, ABOUT_DEV)))

    assert (first.decision, second.decision) == (Permit(DEV), Permit(OPS))
    assert iam.asked == [[ARN, OTHER], [ARN]]


ENTRY = ContextEntry("aws:ResourceTag/Team", "string", ("ops",))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(ABOUT_OPS, context=(ENTRY,)), id="another context"),
        pytest.param(replace(ABOUT_OPS, action="ssm:ResumeSession"), id="another action"),
        pytest.param(replace(ABOUT_OPS, policy_source_arn=f"{ALICE}2"), id="another principal"),
    ],
)
def test_simulates_other_differing_questions_separately(other: Question) -> None:
    iam = Iam({ARN: "allowed"})

    answers = evaluate.simulate_questions(iam, [(other, None), (ABOUT_DEV, None)])

    assert iam.asked == [[OTHER], [ARN]]
    assert [call["PolicySourceArn"] for call in iam.calls] == [other.policy_source_arn, ALICE]
    assert answers[1] != answers[0]


def test_simulates_questions_with_different_boundaries_separately() -> None:
    iam = Iam({ARN: "allowed"})

    evaluate.simulate_questions(iam, [(ABOUT_DEV, "{}"), (ABOUT_OPS, None)])

    assert iam.asked == [[ARN], [OTHER]]
    assert iam.calls[0]["PermissionsBoundaryPolicyInputList"] == ["{}"]
    assert "PermissionsBoundaryPolicyInputList" not in iam.calls[1]


def test_shared_call_has_boundary_of_its_questions() -> None:
    iam = Iam({ARN: "allowed", OTHER: "allowed"}, **UNPLACED)
    iam.decisions[OTHER] = "implicitDeny"

    evaluate.simulate_questions(iam, [(ABOUT_DEV, "{}"), (ABOUT_OPS, "{}")])

    boundaries = [call["PermissionsBoundaryPolicyInputList"] for call in iam.calls]
    assert iam.asked == [[ARN, OTHER], [OTHER]]
    assert boundaries == [["{}"], ["{}"]]


def test_answers_have_order_of_questions() -> None:
    tagged = replace(ABOUT_OPS, context=(ENTRY,))
    last = replace(ABOUT_DEV, resource_arn=f"{ARN}2")
    iam = Iam({ARN: "allowed", last.resource_arn: "explicitDeny"})

    answers = evaluate.simulate_questions(iam, [(ABOUT_DEV, None), (tagged, None), (last, None)])

    assert iam.asked == [[ARN, last.resource_arn], [OTHER]]
    assert [_decisions(one) for one in answers] == [
        [(ARN, "allowed")],
        [(OTHER, "implicitDeny")],
        [(last.resource_arn, "explicitDeny")],
    ]


def _decisions(found: Any) -> list[tuple[str, str]]:
    return [(one.resource_arn, one.eval_decision.value) for one in found]


def test_assigns_results_of_shared_call_to_their_questions() -> None:
    iam = Iam({OTHER: "allowed"})

    denied, allowed = shared_simulation.simulate_group(iam, [ABOUT_DEV, ABOUT_OPS], None)

    assert (_decisions(denied), _decisions(allowed)) == (
        [(ARN, "implicitDeny")],
        [(OTHER, "allowed")],
    )
    assert iam.asked == [[ARN, OTHER]]


def test_simulates_alone_what_shared_answer_leaves_open() -> None:
    iam = Iam({ARN: "allowed"}, **UNPLACED)

    found, alone = evaluate.simulate_questions(iam, [(ABOUT_DEV, None), (ABOUT_OPS, None)])

    assert iam.asked == [[ARN, OTHER], [OTHER]]
    assert _decisions(found) == [(ARN, "allowed")]
    assert _decisions(alone) == [(OTHER, "implicitDeny")]


UNSTATED, STATED = (
    entry("explicitDeny", OTHER),
    entry("explicitDeny", OTHER, MatchedStatements=[NAMES]),
)
BARE = entry("implicitDeny", OTHER)


@pytest.mark.parametrize(
    ("entries", "alone"),
    [
        pytest.param([UNSTATED], False, id="certainly by the organization"),
        pytest.param([STATED], True, id="perhaps by the statement"),
        pytest.param([BARE], True, id="perhaps the lack of an allow"),
        pytest.param([UNSTATED, BARE], True, id="one of two"),
    ],
)
def test_simulates_alone_denial_that_organization_may_cause(
    entries: list[dict[str, Any]], alone: bool
) -> None:
    class Organization(Iam):
        def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
            if len(request["ResourceArns"]) == 1:
                return super().simulate_principal_policy(**request)
            self.calls.append(request)
            return several("explicitDeny", entry("allowed", ARN), *entries, **UNPLACED)

    iam = Organization({})
    found = shared_simulation.simulate_group(iam, [ABOUT_DEV, ABOUT_OPS], None)

    assert iam.asked == [[ARN, OTHER], *([[OTHER]] * alone)]
    assert all(one.eval_decision is not EvalDecision.ALLOWED for one in found[1])  # type: ignore[union-attr]


def test_simulates_single_document_once() -> None:
    iam = Iam({}, **UNPLACED)

    (found,) = evaluate.simulate_questions(iam, [(ABOUT_DEV, None)])

    assert (_decisions(found), iam.asked) == ([(ARN, "implicitDeny")], [[ARN]])


def test_failed_shared_call_is_unknown_for_each_question() -> None:
    iam = Iam({ARN: OSError("no route")})

    found = evaluate.simulate_questions(iam, [(ABOUT_DEV, None), (ABOUT_OPS, None)])

    assert [one.question for one in found if isinstance(one, Unknown)] == [ABOUT_DEV, ABOUT_OPS]


# Without wildcard grants


def test_permits_explicit_grant_after_control() -> None:
    iam = Iam({ARN: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV,)), allow_wildcard_grants=False)

    assert attempt.decision == Permit(DEV)
    first, about = iam.asked
    assert (first, about[0], len(about)) == ([ARN], CONTROL, 1 + len("Dev-Shell"))
    assert [one.resource_arn for one in attempt.controls] == about


def test_denies_wildcard_grant_under_explicit_grant_rule() -> None:
    iam = Iam({ARN: "allowed", CONTROL: "allowed"})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV,)), allow_wildcard_grants=False)

    assert isinstance(attempt.decision, Denial)
    assert attempt.decision.reason_code == Reason.NOT_NAMED


def test_simulates_controls_of_allowed_documents_only() -> None:
    iam = Iam({OTHER: "allowed"})

    denied, named = simulated(
        iam, (DEV, (ABOUT_DEV,)), (OPS, (ABOUT_OPS,)), allow_wildcard_grants=False
    )

    assert denied.decision == Denial(Reason.IMPLICIT_DENY, ABOUT_DEV, Layer.IDENTITY)
    assert named.decision == Permit(OPS)
    first, about = iam.asked
    assert (denied.controls, first, about[0]) == ((), [ARN, OTHER], OTHER_CONTROL)
    assert len(about) == 1 + len("Other")


def test_simulates_controls_of_several_documents_in_one_call() -> None:
    iam = Iam({ARN: "allowed", OTHER: "allowed"})

    first, second = simulated(
        iam, (DEV, (ABOUT_DEV,)), (OPS, (ABOUT_OPS,)), allow_wildcard_grants=False
    )

    assert (first.decision, second.decision) == (Permit(DEV), Permit(OPS))
    assert len(iam.asked) == 2
    assert len(iam.asked[1]) == 2 + len("Dev-Shell") + len("Other")


def test_many_controls_are_simulated_in_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "MOST", 12)
    iam = Iam({ARN: "allowed", OTHER: "allowed"})

    attempts = simulated(iam, (DEV, (ABOUT_DEV,)), (OPS, (ABOUT_OPS,)), allow_wildcard_grants=False)

    assert [attempt.decision for attempt in attempts] == [Permit(DEV), Permit(OPS)]
    assert [len(arns) for arns in iam.asked] == [2, 10, 6]


def test_simulates_controls_that_organization_may_deny_separately() -> None:
    iam = Iam({ARN: "allowed", OTHER: "allowed"}, **UNPLACED)
    answers = [
        evaluate.Answered(
            request, (about,), (Evaluation(about.resource_arn, EvalDecision.ALLOWED),)
        )
        for request, about in ((DEV, ABOUT_DEV), (OPS, ABOUT_OPS))
    ]

    found = controls.simulate_controls(iam, answers)

    assert [len(arns) for arns in iam.asked] == [16, 10, 6]
    assert [(len(evaluations), unknown) for evaluations, unknown in found] == [
        (10, None),
        (6, None),
    ]


def test_simulates_no_control_unless_all_documents_are_allowed() -> None:
    iam = Iam({ARN: "allowed"})

    simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)), allow_wildcard_grants=False)

    assert iam.asked == [[ARN], [OTHER]]


def test_simulates_no_control_after_missing_answer() -> None:
    missing = Unknown(Reason.TIMED_OUT, "IAM did not answer", ABOUT_DEV)
    allowed = Evaluation(ARN, EvalDecision.ALLOWED)
    iam = Iam({ARN: "allowed"})

    (attempt,) = evaluate.decide_answered(
        iam, [evaluate.Answered(DEV, (ABOUT_DEV,), (allowed,), missing)], False
    )

    assert attempt.decision == missing
    assert (attempt.evaluations, attempt.controls, iam.calls) == ((allowed,), (), [])


@pytest.mark.parametrize("most", [controls.MOST, 12], ids=["one call", "two calls"])
def test_missing_control_is_unknown(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers about other controls, of a call before, are not shown as the controls."""
    monkeypatch.setattr(controls, "MOST", most)
    iam = Iam({ARN: "allowed", OTHER: "allowed", OTHER_CONTROL: OSError("no route")})

    (attempt,) = simulated(iam, (DEV, (ABOUT_DEV, ABOUT_OPS)), allow_wildcard_grants=False)

    assert isinstance(attempt.decision, Unknown)
    assert attempt.decision.reason_code == Reason.UNREADABLE
    assert (attempt.controls, iam.asked[:2]) == ((), [[ARN], [OTHER]])


@pytest.mark.parametrize(
    ("boundaries", "expected"),
    [((None,), False), ((True,), True), ((False,), True), ((None, True), True)],
)
def test_simulates_control_with_boundary_that_allows_all(
    boundaries: Sequence[bool | None], expected: bool
) -> None:
    iam = Iam({})
    answers = tuple(
        Evaluation(ARN, EvalDecision.ALLOWED, allowed_by_permissions_boundary=one)
        for one in boundaries
    )

    controls.simulate_controls(iam, [evaluate.Answered(DEV, (ABOUT_DEV,), answers)])

    (call,) = iam.calls
    given = [json.loads(text) for text in call.get("PermissionsBoundaryPolicyInputList", ())]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    assert given == [{"Version": "2012-10-17", "Statement": [everything]}] * expected
