"""What the person refused reads: who, what, why, and the next step, in ten lines at the most."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.errors import AccessDenied, AccessUnknown, GateError
from ssmgate.gate.decision.evaluation import MatchedStatement
from ssmgate.gate.decision.messages import explain, least_statement, simulate_statement
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import DenialReason, Reason
from ssmgate.gate.decision.request import SessionRequest

USER = Caller(
    account="111122223333",
    caller_arn="arn:aws:iam::111122223333:user/alice",
    policy_source_arn="arn:aws:iam::111122223333:user/alice",
    user_id="AIDAX",
    principal_type="User",
    partition="aws",
)
ROLE = Caller(
    account="111122223333",
    caller_arn="arn:aws:sts::111122223333:assumed-role/Dev/alice",
    policy_source_arn="arn:aws:iam::111122223333:role/team/Dev",
    user_id="AROAX:alice",
    principal_type="AssumedRole",
    partition="aws",
)
SSO = replace(
    ROLE,
    caller_arn="arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0a/alice",
    policy_source_arn="arn:aws:iam::111122223333:role/AWSReservedSSO_Dev_0a",
    role_path_known=False,
)
DOCUMENT = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
REQUEST = SessionRequest("i-0a1")


def question(caller: Caller = USER, document_arn: str = DOCUMENT) -> Question:
    return Question.about(
        caller, document_arn, region="us-east-1", secure_transport=True, mfa_done=False
    )


def lines(error: GateError) -> list[str]:
    return [error.text, *error.notes, *error.hints]


@pytest.mark.parametrize(
    ("reason_code", "layer", "tail"),
    [
        (
            Reason.IMPLICIT_DENY,
            Layer.IDENTITY,
            "because no identity-based policy allows the ssm:StartSession action",
        ),
        (Reason.EXPLICIT_DENY, Layer.IDENTITY, "with an explicit deny in an identity-based policy"),
        (
            Reason.IMPLICIT_DENY,
            Layer.BOUNDARY,
            "because no permissions boundary allows the ssm:StartSession action",
        ),
        (
            Reason.IMPLICIT_DENY,
            Layer.ORGANIZATIONS,
            "because no service control policy allows the ssm:StartSession action",
        ),
        (
            Reason.EXPLICIT_DENY,
            Layer.ORGANIZATIONS,
            "with an explicit deny in a service control policy",
        ),
    ],
)
def test_a_refusal_starts_in_awss_own_words(
    reason_code: DenialReason, layer: Layer, tail: str
) -> None:
    error = explain(Denial(reason_code, question(), layer), REQUEST, USER)

    assert isinstance(error, AccessDenied)
    assert error.text == (
        "An error occurred (AccessDeniedException) when calling the StartSession operation: User:"
        " arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:StartSession on"
        f" resource: {DOCUMENT} {tail}"
    )


def test_a_refusal_of_the_default_says_which_document_it_is() -> None:
    error = explain(Denial(Reason.IMPLICIT_DENY, question(ROLE), Layer.IDENTITY), REQUEST, ROLE)

    assert error.notes == (
        "refused before the call: no explicit access to session document"
        " 'SSM-SessionManagerRunShell' (the default, as no --document-name was given)",
        f"checked: ssm:StartSession on {DOCUMENT} for {ROLE.caller_arn} by the policies of"
        f" {ROLE.policy_source_arn}",
    )


def test_the_statement_to_ask_for_has_both_resources_and_the_condition() -> None:
    assert json.loads(least_statement(question(), REQUEST)) == {
        "Effect": "Allow",
        "Action": "ssm:StartSession",
        "Resource": [DOCUMENT, "arn:aws:ec2:us-east-1:111122223333:instance/i-0a1"],
        "Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
    }


def test_a_denial_names_the_policies_that_deny_and_asks_for_no_allow() -> None:
    refusal = Denial(
        Reason.EXPLICIT_DENY,
        question(),
        Layer.IDENTITY,
        matched_statements=tuple(MatchedStatement(p) for p in ("p", "q", "p")),
    )
    error = explain(refusal, REQUEST, USER)

    assert "denied by: p, q" in error.notes
    assert "an explicit deny outweighs every allow" in error.hints[0]
    assert "Allow" not in "".join(error.hints)


def test_missing_keys_are_named_with_the_line_that_would_supply_them() -> None:
    refusal = Denial(
        Reason.IMPLICIT_DENY, question(), Layer.IDENTITY, missing_context=("aws:PrincipalTag/team",)
    )
    error = explain(refusal, REQUEST, USER)

    assert "condition keys that IAM was not given: aws:PrincipalTag/team" in error.notes
    assert error.hints[-1].endswith('config.toml: "aws:PrincipalTag/team" = "…"')


def test_the_nodes_tags_are_not_suggested_for_the_document() -> None:
    refusal = Denial(
        Reason.IMPLICIT_DENY, question(), Layer.IDENTITY, missing_context=("ssm:resourceTag/Env",)
    )
    hints = explain(refusal, REQUEST, USER).hints

    assert any("does not have the node's tags" in hint for hint in hints)
    assert not any("[context]" in hint for hint in hints)


@pytest.mark.parametrize(
    ("outcome", "caller", "hint"),
    [
        (Unknown(Reason.ROOT, "the caller is the root user"), None, "use an IAM user or role"),
        (Unknown(Reason.FEDERATED_USER, "federated"), None, "GetFederationToken"),
        (Unknown(Reason.THROTTLED, "Rate exceeded", question()), USER, "try again in a moment"),
        (Unknown(Reason.TIMED_OUT, "late"), None, "AWS_ENDPOINT_URL"),
        (Unknown(Reason.EXPIRED, "ExpiredToken"), None, "aws sso login"),
        (Unknown(Reason.OTHER_ACCOUNT, "x", question()), USER, "caller's own account"),
        (
            Unknown(Reason.NOT_ALLOWED_TO_SIMULATE, "the caller may not ask IAM", question()),
            USER,
            '"Resource": "arn:aws:iam::111122223333:user/alice"',
        ),
        (
            Unknown(Reason.LIVE_CONTEXT, "MFA", question(), ("aws:MultiFactorAuthPresent",)),
            USER,
            '"aws:MultiFactorAuthPresent" = true',
        ),
        (
            Unknown(Reason.LIVE_CONTEXT, "MFA", question(), ("aws:MultiFactorAuthPresent",)),
            USER,
            f'"Resource": ["{DOCUMENT}"',
        ),
    ],
)
def test_cannot_tell_has_a_next_step_and_none_of_iams_words(
    outcome: Unknown, caller: Caller | None, hint: str
) -> None:
    error = explain(outcome, REQUEST, caller)

    assert isinstance(error, AccessUnknown)
    assert error.exit_code == 254
    assert any(hint in line for line in error.hints)
    assert "not authorized" not in " ".join(lines(error))
    assert error.text.startswith("cannot tell whether the session is permitted: ")


@pytest.mark.parametrize(
    ("caller", "actions", "resource"),
    [
        (USER, ["iam:SimulatePrincipalPolicy"], "arn:aws:iam::111122223333:user/alice"),
        (
            ROLE,
            ["iam:SimulatePrincipalPolicy", "iam:GetRole"],
            "arn:aws:iam::111122223333:role/team/Dev",
        ),
        (
            SSO,
            ["iam:SimulatePrincipalPolicy", "iam:GetRole"],
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Dev_0a",
        ),
    ],
)
def test_the_permission_to_simulate_oneself_and_no_one_else(
    caller: Caller, actions: list[str], resource: str
) -> None:
    assert json.loads(simulate_statement(caller)) == {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
    }


@pytest.mark.parametrize(
    "outcome",
    [
        Denial(Reason.IMPLICIT_DENY, question(), layer, ("p",), ("a:b", "c:d", "e:f", "g:h"))
        for layer in Layer
    ]
    + [
        Unknown(code, "why", question(), ("aws:SourceIp", "aws:SourceVpce"))
        for code in (
            Reason.ROOT, Reason.THROTTLED, Reason.TIMED_OUT, Reason.NOT_ALLOWED_TO_SIMULATE,
            Reason.LIVE_CONTEXT, Reason.FAILED,
            Reason.TAGS_UNKNOWN, Reason.TAGS_DENY,
        )
    ],
)  # fmt: skip
def test_never_more_than_ten_lines(outcome: Denial | Unknown) -> None:
    assert 2 <= len(lines(explain(outcome, REQUEST, USER))) <= 10


def test_unread_tags_come_with_the_statements_that_let_them_be_read() -> None:
    keys = ("aws:ResourceTag/a", "ssm:resourceTag/a", "aws:PrincipalTag/Stage")
    hints = explain(Unknown(Reason.TAGS_UNKNOWN, "why", question(), keys), REQUEST, USER).hints

    statements = [json.loads(hint.partition(": ")[2]) for hint in hints[:2]]
    assert [(s["Action"], s["Resource"]) for s in statements] == [
        ("ssm:ListTagsForResource", DOCUMENT), ("iam:GetUser", question().policy_source_arn),
    ]  # fmt: skip
    # Of the resource's tags nothing can be configured: that would hold for every document.
    assert [hint.rpartition("config.toml: ")[2] for hint in hints[2:]] == [
        '"aws:PrincipalTag/Stage" = "…"'
    ]
