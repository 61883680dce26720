"""What makes a denial unknown, and what does not turn it into an allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.gate.decision import live_context
from ssmgate.gate.decision.decision import Denial, Layer, Unknown, decide
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.live_context import is_live, unknown_if_live
from ssmgate.gate.decision.question import ContextEntry, Question
from ssmgate.gate.decision.reason import DenialReason, Reason
from ssmgate.gate.decision.request import SessionRequest

ARN = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
QUESTION = Question("arn:aws:iam::111122223333:user/alice", ARN, ())
YES = Evaluation(ARN, EvalDecision.ALLOWED)


@pytest.mark.parametrize("layer", ["allowed_by_permissions_boundary", "allowed_by_organizations"])
def test_contradiction_in_one_of_two_answers_is_unknown(layer: str) -> None:
    denied = replace(YES, **{layer: False})
    for answers in ([YES, denied], [denied, YES]):
        decision = decide(SessionRequest("i-1"), [QUESTION], answers)

        assert isinstance(decision, Unknown)
        assert decision.reason_code == "contradiction"


LIVE_KEYS = {
    # Properties of a role session
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:SourceIdentity",
    "aws:TokenIssueTime",
    "sts:SourceIdentity",  # AWS STS's own name for it
    # Properties of the network
    "aws:SourceIp",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:VpcSourceIp",
    # Properties of the request
    "aws:referer",
    "aws:UserAgent",
}
"""Keys by section of the page, which says for each when a request has it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""


def test_live_keys_match_documentation_of_aws() -> None:
    assert {key.lower() for key in LIVE_KEYS} == live_context._LIVE_KEYS
    assert all(is_live(key) for key in LIVE_KEYS)


@pytest.mark.parametrize(
    ("reason_code", "unknown"),
    [(Reason.IMPLICIT_DENY, Reason.LIVE_CONTEXT), (Reason.EXPLICIT_DENY, Reason.LIVE_DENY)],
)
def test_denial_with_live_keys_is_unknown(reason_code: DenialReason, unknown: Reason) -> None:
    denial = Denial(reason_code, QUESTION, Layer.IDENTITY)

    decision = unknown_if_live(denial, ["ssm:resourceTag/Env", "aws:SourceIp", "aws:referer"])

    assert isinstance(decision, Unknown)
    assert (decision.reason_code, decision.question) == (unknown, QUESTION)
    assert decision.live_context == ("aws:SourceIp", "aws:referer")
    assert decision.reason.endswith("only the live request has: aws:SourceIp, aws:referer")


def test_live_key_with_a_given_value_leaves_the_denial() -> None:
    given = replace(QUESTION, context=(ContextEntry("aws:sourceip", "ip", ("203.0.113.1",)),))
    denial = Denial(Reason.IMPLICIT_DENY, given, Layer.IDENTITY)

    assert unknown_if_live(denial, ["aws:SourceIp"]) is denial


def test_denial_lists_each_policy_once() -> None:
    statements = tuple(MatchedStatement(policy) for policy in ("b", "a", "b"))

    assert Denial(Reason.EXPLICIT_DENY, QUESTION, Layer.IDENTITY, statements).matched_policies == (
        "b",
        "a",
    )
