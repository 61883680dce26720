"""The error for a session that was not allowed: who, what, why, and the next step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest

from ssmgate.explain import reasons
from ssmgate.gate.decision.access_errors import AccessDenied, AccessUnknown
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.denial import keys_not_listable
from ssmgate.gate.decision.denial_text import Form, render
from ssmgate.gate.decision.evaluation import MatchedStatement
from ssmgate.gate.decision.messages import (
    Option,
    check_command,
    explain,
    simulate_statement,
)
from ssmgate.gate.decision.question import LONG_TERM, Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import DenialReason, RestrictionReason, UnknownReason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

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


def denied(
    reason_code: DenialReason = Reason.IMPLICIT_DENY, layer: Layer = Layer.IDENTITY, **more: Any
) -> Denial:
    return Denial(reason_code, question(more.pop("caller", USER)), layer, **more)


def unknown(
    reason_code: UnknownReason, *live: str, asked: Question | None = None, why: str = "why"
) -> Unknown:
    return Unknown(reason_code, why, asked or question(), live)


NAMED = "because no statement names the document, as this machine requires"


@pytest.mark.parametrize(
    ("reason_code", "layer", "sentence", "reason"),
    [
        (
            Reason.IMPLICIT_DENY,
            Layer.IDENTITY,
            "because no identity-based policy allows the ssm:StartSession action",
            "no identity-based policy allows",
        ),
        (
            Reason.EXPLICIT_DENY,
            Layer.IDENTITY,
            "with an explicit deny in an identity-based policy",
            "an explicit deny in an identity-based policy (p, {q}) forbids",
        ),
        (
            Reason.IMPLICIT_DENY,
            Layer.BOUNDARY,
            "because no permissions boundary allows the ssm:StartSession action",
            "no permissions boundary allows",
        ),
        (
            Reason.IMPLICIT_DENY,
            Layer.ORGANIZATIONS,
            "because no service control policy allows the ssm:StartSession action",
            "no service control policy allows",
        ),
        (
            Reason.EXPLICIT_DENY,
            Layer.ORGANIZATIONS,
            "with an explicit deny in a service control policy",
            "an explicit deny in a service control policy (p, {q}) forbids",
        ),
        (Reason.NOT_NAMED, Layer.IDENTITY, NAMED, "only a wildcard (p, {q}) allows"),
    ],
)
def test_denial_has_sentence_of_aws_and_reason(
    reason_code: DenialReason, layer: Layer, sentence: str, reason: str
) -> None:
    matched = tuple(MatchedStatement(policy) for policy in ("p", "{q}", "p"))
    error = explain(denied(reason_code, layer, matched_statements=matched), REQUEST, USER)

    assert isinstance(error, AccessDenied)
    assert error.sentence == (
        "An error occurred (AccessDeniedException) when calling the StartSession operation: User:"
        " arn:aws:iam::111122223333:user/alice is not authorized to perform: ssm:StartSession on"
        f" resource: {DOCUMENT} {sentence}"
    )
    after = "; this machine requires a statement that names it" * (reason_code == Reason.NOT_NAMED)
    assert error.facts.reason == f"{reason} ssm:StartSession on it{after}"
    assert error.facts.full_reason == f"{reason} {DOCUMENT} for user/alice{after}"


def test_explicit_deny_requests_no_allow() -> None:
    (remark,) = explain(denied(Reason.EXPLICIT_DENY), REQUEST, USER).facts.remarks

    assert "an explicit deny overrides every allow" in remark


@pytest.mark.parametrize(
    ("key", "remark"),
    [
        ("aws:PrincipalTag/team", 'config.toml: "aws:PrincipalTag/team" = "…"'),
        ("ssm:resourceTag/Env", "a session document does not have the node's tags"),
    ],
)
def test_missing_key_has_hint(key: str, remark: str) -> None:
    facts = explain(denied(missing_context=(key,)), REQUEST, USER).facts

    assert facts.missing == (key,)
    assert [remark in one for one in facts.remarks] == [True]


def test_missing_mfa_of_long_term_keys_cannot_be_configured() -> None:
    denial = denied(missing_context=("aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge"))
    asked = replace(denial.question, credentials=LONG_TERM)

    (remark,) = explain(replace(denial, question=asked), REQUEST, USER).facts.remarks

    assert remark.startswith("a policy requires MFA: use a profile with mfa_serial, or")


def test_key_that_no_session_has_cannot_be_configured() -> None:
    assert explain(denied(missing_context=("s3:prefix",)), REQUEST, USER).facts.remarks == ()


EXPLAIN = "ssmgate check --explain --target i-0a1"
DOCTOR = "ssmgate doctor"
ASK = "ssmgate check --request --target i-0a1"
MFA = "aws:MultiFactorAuthPresent"


@pytest.mark.parametrize(
    ("decision", "caller", "remark", "hint", "command"),
    [
        (unknown(Reason.ROOT), None, "use an IAM user or role", "", EXPLAIN),
        (unknown(Reason.FEDERATED_USER), None, "GetFederationToken", "", EXPLAIN),
        (unknown(Reason.THROTTLED), USER, "try again in a moment", "", EXPLAIN),
        (unknown(Reason.TIMED_OUT), None, "HTTPS_PROXY", "", DOCTOR),
        (unknown(Reason.EXPIRED), None, "aws sso login", "", DOCTOR),
        (unknown(Reason.OTHER_ACCOUNT), USER, "caller's own account", "", EXPLAIN),
        (unknown(Reason.NOT_ALLOWED_TO_SIMULATE), USER, "checker.profile", ASK, ASK),
        (unknown(Reason.NOT_ALLOWED_TO_SIMULATE), USER, 'on_unknown = "service"', ASK, ASK),
        (unknown(Reason.SIMULATION_DENIED), USER, 'on_unknown = "service"', "", EXPLAIN),
        (unknown(Reason.SIMULATION_DENIED), USER, "an MFA code was entered", "", EXPLAIN),
        (unknown(Reason.ROOT), None, 'on_unknown = "service"', "", EXPLAIN),
        (unknown(Reason.FEDERATED_USER), None, 'on_unknown = "service"', "", EXPLAIN),
        (unknown(Reason.LIVE_CONTEXT, MFA), USER, f'"{MFA}" = true', "", ASK),
        (unknown(Reason.LIVE_DENY, MFA), USER, f'"{MFA}" = true', "", EXPLAIN),
        (unknown(Reason.FAILED), USER, "", DOCTOR, DOCTOR),
    ],
)
def test_unknown_has_next_step(
    decision: Unknown, caller: Caller | None, remark: str, hint: str, command: str
) -> None:
    error = explain(decision, REQUEST, caller)

    assert isinstance(error, AccessUnknown)
    assert error.exit_code == 254
    assert remark in " ".join(error.facts.remarks)
    assert error.facts.hint == (hint or error.facts.remarks[0])
    assert error.facts.command == command
    assert str(error) == (
        "could not check access to session document SSM-SessionManagerRunShell: why"
    )


@pytest.mark.parametrize(
    ("layer", "remarks"),
    [
        (Layer.IDENTITY, ["iam:GetContextKeysForPrincipalPolicy", "identity-based policy"]),
        (Layer.BOUNDARY, ["permissions boundary"]),
        (Layer.ORGANIZATIONS, ["service control policy"]),
    ],
)
def test_deny_whose_keys_are_not_listed_has_hints_for_its_layer(
    layer: Layer, remarks: list[str]
) -> None:
    denial = denied(Reason.EXPLICIT_DENY, layer)

    facts = explain(keys_not_listable(denial, "cannot be listed"), REQUEST, USER).facts

    assert facts.layer == layer.name.lower()
    assert len(facts.remarks) == len(remarks)
    assert all(word in one for word, one in zip(remarks, facts.remarks, strict=True))
    assert "[context]" in facts.remarks[-1]


def test_key_that_ssmgate_fills_in_cannot_be_configured() -> None:
    decision = unknown(Reason.LIVE_CONTEXT, "aws:ResourceAccount", "aws:SourceIp")

    (hint,) = explain(decision, REQUEST, USER).facts.remarks

    assert "aws:SourceIp" in hint
    assert "aws:ResourceAccount" not in hint


def test_hint_for_role_tags_names_get_role() -> None:
    key = "aws:PrincipalTag/Stage"
    tags = replace(unknown(Reason.TAGS_UNKNOWN, key), question=question(ROLE))

    hint = explain(tags, REQUEST, ROLE).facts.remarks[0]

    assert hint.endswith(f"allow the caller iam:GetRole on {ROLE.policy_source_arn}")


def test_doctor_gets_options_of_user() -> None:
    error = explain(unknown(Reason.FAILED), REQUEST, USER, [("--profile", "a b"), ("--x", True)])

    assert error.facts.command == "ssmgate doctor --profile 'a b' --x"


def every_outcome() -> list[Denial | Unknown | LocalDenial]:
    """Return one decision for each reason code, with all optional members."""
    keys = ("aws:SourceIp", "aws:ResourceTag/a", "aws:PrincipalTag/b")
    statements = (MatchedStatement("p"), MatchedStatement("q"))
    return [
        *(
            denied(code, layer, caller=SSO, matched_statements=statements, missing_context=keys)
            for code in get_args(DenialReason)
            for layer in Layer
        ),
        *(unknown(code, *keys) for code in get_args(UnknownReason)),
        *(LocalDenial(code, "the.rule", "why") for code in get_args(RestrictionReason)),
    ]


@pytest.mark.parametrize("decision", every_outcome(), ids=lambda one: one.reason_code)
def test_each_reason_has_text(decision: Denial | Unknown | LocalDenial) -> None:
    facts = explain(decision, REQUEST, SSO).facts

    assert facts.reason_code is decision.reason_code
    assert all((facts.reason, facts.full_reason, facts.heading, facts.command, facts.hint))
    if not isinstance(decision, LocalDenial):
        report_entry = reasons.answer(decision, (), ())
        assert report_entry.reason_code is decision.reason_code
        assert len(report_entry.reason.split()) > 3 or report_entry.reason == "why"


@pytest.mark.parametrize("decision", every_outcome(), ids=lambda one: one.reason_code)
def test_each_form_is_short(decision: Denial | Unknown | LocalDenial) -> None:
    error = explain(decision, REQUEST, SSO)
    error.nearest = "policy P, line 3: it comes close"

    assert len(render(error, Form.TERMINAL).splitlines()) <= 16
    assert len(render(error, Form.LINES).splitlines()) == 3
    assert len(render(error, Form.LEGACY).splitlines()) == 3
    assert len(render(error, Form.TEXT).splitlines()) <= 3


@pytest.mark.parametrize(
    ("request_", "options", "words"),
    [
        (REQUEST, (), "--target i-0a1"),
        (
            SessionRequest("i-0a1", "Dev-Shell", "why not"),
            (("--profile", "my profile"), ("--region", None), ("--no-verify-ssl", True)),
            "--target i-0a1 --document-name Dev-Shell --profile 'my profile' --no-verify-ssl",
        ),
        (SessionRequest("-x;y"), (("--profile", "-p"),), "'--target=-x;y' --profile=-p"),
    ],
)
def test_command_repeats_arguments_quoted(
    request_: SessionRequest, options: Sequence[Option], words: str
) -> None:
    assert check_command("--explain", request_, options) == f"ssmgate check --explain {words}"


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
def test_suggests_permission_to_simulate_own_policies_only(
    caller: Caller, actions: list[str], resource: str
) -> None:
    assert json.loads(simulate_statement(caller)) == {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resource,
    }


def test_unread_tags_come_with_permissions_that_allow_reading() -> None:
    keys = ("aws:ResourceTag/a", "ssm:resourceTag/a", "aws:PrincipalTag/Stage")
    hints = explain(unknown(Reason.TAGS_UNKNOWN, *keys), REQUEST, USER).facts.remarks

    assert [hint.partition(" allow the caller ")[2] for hint in hints[:2]] == [
        f"ssm:ListTagsForResource on {DOCUMENT}",
        f"iam:GetUser on {question().policy_source_arn}",
    ]
    # Of the resource's tags nothing can be configured: that would hold for every document.
    assert [hint.rpartition("config.toml: ")[2] for hint in hints[2:]] == [
        '"aws:PrincipalTag/Stage" = "…"'
    ]


def test_unknown_repeats_hint_of_failed_call() -> None:
    decision = replace(unknown(Reason.UNREACHABLE), hints=("use --region us-east-1",))
    assert explain(decision, REQUEST, None).facts.remarks == ("use --region us-east-1",)
    (hint,) = explain(decision, REQUEST, None, [("--endpoint-url", "http://x")]).facts.remarks
    assert hint.startswith("--endpoint-url is used for StartSession only")
