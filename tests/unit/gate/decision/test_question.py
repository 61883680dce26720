"""The question for IAM: its context, and the additions of the configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ssmgate.gate.decision.context import configured_context, context_entry
from ssmgate.gate.decision.controls import controls_of
from ssmgate.gate.decision.question import (
    FIXED_KEYS,
    LONG_TERM,
    Caller,
    ContextEntry,
    Question,
    is_principal_tag,
    is_resource_tag,
)

CALLER = Caller(
    account="111122223333",
    caller_arn="arn:aws:sts::111122223333:assumed-role/Dev/alice",
    policy_source_arn="arn:aws:iam::111122223333:role/team/Dev",
    user_id="AROAX:alice",
    principal_type="AssumedRole",
    partition="aws",
)
MINE = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
AWSS = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"


def context(arn: str = MINE, **kwargs: Any) -> dict[str, ContextEntry]:
    known: dict[str, Any] = {
        "region": "us-east-1",
        "secure_transport": True,
        "mfa_done": False,
        **kwargs,
    }
    return {entry.key_name: entry for entry in Question.about(CALLER, arn, **known).context}


def test_question_contains_known_context() -> None:
    assert {name: (e.key_type, *e.values) for name, e in context().items()} == {
        "ssm:SessionDocumentAccessCheck": ("boolean", "true"),
        "aws:RequestedRegion": ("string", "us-east-1"),
        "aws:userid": ("string", "AROAX:alice"),
        "aws:PrincipalArn": ("string", "arn:aws:iam::111122223333:role/team/Dev"),
        "aws:PrincipalType": ("string", "AssumedRole"),
        "aws:SecureTransport": ("boolean", "true"),
        "aws:ViaAWSService": ("boolean", "false"),
        "aws:ViaAWSMCPService": ("boolean", "false"),
        "aws:PrincipalIsAWSService": ("boolean", "false"),
        "aws:ResourceAccount": ("string", "111122223333"),
    }


def test_aws_documents_have_no_resource_account() -> None:
    assert "aws:ResourceAccount" not in context(AWSS)


def test_claims_mfa_only_after_own_mfa() -> None:
    assert "aws:MultiFactorAuthPresent" not in context()
    assert context(mfa_done=True)["aws:MultiFactorAuthPresent"] == (
        ContextEntry("aws:MultiFactorAuthPresent", "boolean", ("true",))
    )


def test_configured_key_replaces_known_one() -> None:
    configured = configured_context({"AWS:multifactorauthpresent": False})
    entries = context(mfa_done=True, configured=configured)

    assert "aws:MultiFactorAuthPresent" not in entries
    assert entries["AWS:multifactorauthpresent"].values == ("false",)


@pytest.mark.parametrize(
    ("key", "value", "key_type", "values"),
    [
        ("aws:MultiFactorAuthPresent", True, "boolean", ("true",)),
        ("aws:MultiFactorAuthAge", 60, "numeric", ("60",)),
        ("aws:PrincipalTag/team", "ops", "string", ("ops",)),
        ("aws:SourceIp", "203.0.113.1", "ip", ("203.0.113.1",)),
        ("aws:VpcSourceIp", "10.0.0.1", "ip", ("10.0.0.1",)),
        ("aa:bb", "x", "string", ("x",)),
        ("a" * 256, "x", "string", ("x",)),
        ("aws:TagKeys", ["a", "b"], "stringList", ("a", "b")),
        ("xy:xy", [1, 2.5], "numericList", ("1", "2.5")),
    ],
)
def test_configured_values_have_types_of_iam(
    key: str, value: object, key_type: str, values: tuple[str, ...]
) -> None:
    assert context_entry(key, value) == ContextEntry(key, key_type, values)


@pytest.mark.parametrize("value", [None, {}, [], ["a", 1], [["a"]], b"a"])
def test_rejects_other_values(value: object) -> None:
    with pytest.raises(ValueError, match="must be a string"):
        context_entry("aa:bb", value)


@pytest.mark.parametrize("key", ["", "a:b", "a" * 257])
def test_rejects_keys_that_iam_rejects(key: str) -> None:
    with pytest.raises(ValueError, match="is not a condition key"):
        context_entry(key, "x")


@pytest.mark.parametrize("arn", [MINE, AWSS])
def test_control_differs_in_name_that_cannot_exist(arn: str) -> None:
    question = Question.about(
        CALLER, arn, region="us-east-1", secure_transport=True, mfa_done=False
    )
    control = controls_of(question)[0]
    place, _, name = control.resource_arn.partition("/")

    assert control.context == question.context
    assert place == arn.partition("/")[0]
    own = arn.partition("/")[2]
    assert name.startswith(own)
    assert name.endswith(own)
    assert len(name) > 128
    assert name == f"{own}.no-such-document.{'-' * 128}.{own}"


def test_action_without_document_key() -> None:
    assert "ssm:SessionDocumentAccessCheck" not in context(document_access_check=None)
    entry = context(document_access_check=False)["ssm:SessionDocumentAccessCheck"]
    assert entry.values == ("false",)


def test_fixed_keys_are_keys_of_question() -> None:
    """As the pages spell them; the last two are added when IAM is called.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    keys = {
        "ssm:SessionDocumentAccessCheck",
        "aws:RequestedRegion",
        "aws:userid",
        "aws:PrincipalArn",
        "aws:PrincipalType",
        "aws:SecureTransport",
        "aws:ViaAWSService",
        "aws:ViaAWSMCPService",
        "aws:PrincipalIsAWSService",
        "aws:ResourceAccount",
        "aws:CurrentTime",
        "aws:EpochTime",
    }

    assert {key.lower() for key in keys} == FIXED_KEYS
    assert set(context()) == keys - {"aws:CurrentTime", "aws:EpochTime"}


def test_question_is_about_start_session() -> None:
    question = Question.about(
        CALLER, MINE, region="us-east-1", secure_transport=True, mfa_done=False
    )
    assert (question.policy_source_arn, question.resource_arn, question.action) == (
        CALLER.policy_source_arn,
        MINE,
        "ssm:StartSession",
    )
    assert CALLER.role_path_known


def test_key_is_given_once_in_any_case() -> None:
    team = ContextEntry("aws:PrincipalTag/Team", "string", ("ops",))
    other = ContextEntry("AWS:principaltag/team", "string", ("dev",))
    region = ContextEntry("aws:RequestedRegion", "string", ("us-east-1",))
    question = Question("arn:a", "arn:d", (region,))

    assert question.gives("aws:requestedregion")
    assert not question.gives("aws:RequestedRegio")
    assert question.with_context([team]).gives("AWS:PRINCIPALTAG/TEAM")
    assert question.with_context([team]).context == (region, team)
    assert question.with_context([team]).with_context([other]).context == (region, team)
    assert Question("arn:a", "arn:d", ()).with_context([team]).context == (team,)


def test_configured_keys_are_ordered() -> None:
    entries = configured_context({"cc:dd": 1, "aa:bb": 2})
    assert [entry.key_name for entry in entries] == ["aa:bb", "cc:dd"]


@pytest.mark.parametrize(
    ("key", "of_resource", "of_principal"),
    [
        ("aws:ResourceTag/Team", True, False),
        ("ssm:resourceTag/Team", True, False),
        ("AWS:RESOURCETAG/team", True, False),
        ("SSM:ResourceTag/team", True, False),
        ("aws:PrincipalTag/Team", False, True),
        ("AWS:principaltag/team", False, True),
        ("aws:ResourceTagTeam", False, False),
        ("aws:PrincipalTagTeam", False, False),
        ("aws:RequestTag/Team", False, False),
    ],
)
def test_recognises_tag_keys_in_any_case(key: str, of_resource: bool, of_principal: bool) -> None:
    assert is_resource_tag(key) is of_resource
    assert is_principal_tag(key) is of_principal


def test_omits_principal_arn_of_role_with_unknown_path() -> None:
    role = "arn:aws:iam::111122223333:role/Ops"
    for known in (True, False):
        caller = replace(CALLER, policy_source_arn=role, role_path_known=known)

        asked = Question.about(
            caller, MINE, region="us-east-1", secure_transport=True, mfa_done=False
        )

        assert asked.gives("aws:PrincipalArn") is known
        assert asked.policy_source_arn == role


def test_kind_of_credentials_is_unknown_by_default() -> None:
    asked = Question.about(CALLER, MINE, region="us-east-1", secure_transport=True, mfa_done=False)

    assert asked.credentials == Question("arn:a", "arn:d", ()).credentials == ""
    assert LONG_TERM == "long-term"
