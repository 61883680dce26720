"""What makes a denial unknown, and what does not turn it into an allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.gate.decision.decision import Denial, Layer, Unknown, decide
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest

ARN = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
QUESTION = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
ALLOW = Evaluation(ARN, EvalDecision.ALLOWED)


@pytest.mark.parametrize("layer", ["allowed_by_permissions_boundary", "allowed_by_organizations"])
def test_contradiction_in_one_of_two_answers_is_unknown(layer: str) -> None:
    denied = replace(ALLOW, **{layer: False})
    for answers in ([ALLOW, denied], [denied, ALLOW]):
        decision = decide(SessionRequest("i-1"), [QUESTION], answers)

        assert isinstance(decision, Unknown)
        assert decision.reason_code == "contradiction"


def test_denial_lists_each_policy_once() -> None:
    statements = tuple(MatchedStatement(policy) for policy in ("b", "a", "b"))

    assert Denial(Reason.EXPLICIT_DENY, QUESTION, Layer.IDENTITY, statements).matched_policies == (
        "b",
        "a",
    )
