"""Which condition keys are known, known to be absent, or unknown, for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ssmgate.gate.decision.context_keys import ABSENT, FILLED_IN, is_absent, is_tag, unknown_keys
from ssmgate.gate.decision.question import FIXED_KEYS, LONG_TERM, ContextEntry, Question

ACCOUNT = "111122223333"
ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Dev-Shell"
USER = Question(f"arn:aws:iam::{ACCOUNT}:user/staff/alice", ARN, ())
ROLE = Question(f"arn:aws:iam::{ACCOUNT}:role/ops/Ops", ARN, ())

FILLED = [
    "aws:CurrentTime", "aws:EpochTime", "aws:PrincipalAccount", "aws:PrincipalId",
    "aws:PrincipalOrgID", "aws:PrincipalOrgMasterAccountId", "aws:PrincipalOrgPaths",
    "aws:PrincipalType", "aws:Type", "aws:userid", "aws:username",
]  # fmt: skip
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html"""

BOTH_LACK = [
    "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:CalledViaAWSMCP",
    "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:SourceAccount",
    "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:AssumedRoot", "aws:referer",
    "aws:IsMcpServiceAction", "aws:RequestTag/Team", "aws:TagKeys", "ssm:Overwrite",
    "ssm:AutoApprove", "ssm:Policies", "ssm:Recursive", "ssm:SyncType",
    # Of other services: StartSession never has them.
    "s3:prefix", "iam:PassedToService", "ec2:ResourceTag/Env", "kms:ViaService",
]  # fmt: skip
USERS_LACK = [
    "aws:ChatbotSourceArn", "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:FederatedProvider", "aws:SourceIdentity", "ssm:SourceInstanceArn", "saml:sub",
    "saml:namequalifier", "sts:SourceIdentity", "sts:RoleSessionName", "identitystore:UserId",
    "ec2:RoleDelivery", "ec2:SourceInstanceARN", "glue:RoleAssumedBy", "codebuild:BuildArn",
    "lambda:SourceFunctionArn", "accounts.google.com:sub", "cognito-identity.amazonaws.com:aud",
    "token.actions.githubusercontent.com:sub", "oidc.eks.eu-west-1.amazonaws.com/id/0A1:aud",
    "localhost/realms/ops:sub", "ssm:AccessRequestId",
]  # fmt: skip
OF_TEMPORARY = ["aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge", "aws:TokenIssueTime"]
"""What requests lack that are signed with a user's access keys."""

UNKNOWN = [
    "aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp", "aws:UserAgent",
    "aws:SignInSessionArn", "aws:ResourceOrgID", "aws:ResourceOrgPaths", "aws:ResourceAccount",
    "aws:ResourceTag/Team", "aws:PrincipalTag/Team", "ssm:resourceTag/Team",
    "ssm:DocumentCategories", "ssm:DocumentType",
    "aws:KeyOfNextYear", "aws:CalledViaOther", "aws:RequestTagOther",
    "ssm:KeyOfNextYear", "nonsense", "s3\n:prefix", "\u00e93:prefix", ":x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        (USER, [*OF_TEMPORARY, *UNKNOWN]),
        (replace(USER, credentials=LONG_TERM), UNKNOWN),
        (ROLE, [*USERS_LACK, *OF_TEMPORARY, *UNKNOWN]),
        (replace(ROLE, credentials=LONG_TERM), [*USERS_LACK, *OF_TEMPORARY, *UNKNOWN]),
    ],
)
def test_key_is_unknown_unless_rule_covers_it(question: Question, unknown: list[str]) -> None:
    keys = [*BOTH_LACK, *USERS_LACK, *OF_TEMPORARY, *UNKNOWN, *FILLED]

    assert list(unknown_keys(question, keys)) == unknown
    assert unknown_keys(question, [key.upper() for key in keys]) == tuple(
        key.upper() for key in unknown
    )


def test_given_key_is_known() -> None:
    given = USER.with_context([ContextEntry("aws:sourceip", "ip", ("203.0.113.1",))])

    assert unknown_keys(given, ["aws:SourceIp", "aws:SourceVpc"]) == ("aws:SourceVpc",)


def test_unknown_key_is_named_once() -> None:
    assert unknown_keys(USER, ["aws:SourceIp", "AWS:sourceip"]) == ("aws:SourceIp",)


def test_key_of_same_service_is_unknown() -> None:
    channel = Question(USER.policy_source_arn, "*", (), "ssmmessages:OpenDataChannel")

    keys = ["ssmmessages:Any", "s3:prefix", "ssm:SessionDocumentAccessCheck"]
    assert unknown_keys(channel, keys) == ("ssmmessages:Any",)
    of_role = Question(ROLE.policy_source_arn, "*", (), "ssmmessages:OpenDataChannel")
    assert unknown_keys(of_role, ["ssm:SourceInstanceArn"]) == ("ssm:SourceInstanceArn",)


PAGES = {
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-assumedroot",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-calledvia",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-ismcpserviceaction",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html"
    "#condition-keys-multifactorauthpresent",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalservicename",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-referer",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html"
    "#condition-keys-role-session-properties",
    "IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-tokenissuetime",
    "service-authorization/latest/reference/list_awssystemsmanager.html"
    "#awssystemsmanager-StartSession",
    "service-authorization/latest/reference/list_awssystemsmanager.html"
    "#awssystemsmanager-policy-keys",
    "systems-manager/latest/userguide/systems-manager-just-in-time-node-access-start-session.html",
}


def test_each_absence_names_page_of_aws() -> None:
    assert {row.page.removeprefix("https://docs.aws.amazon.com/") for row in ABSENT} == PAGES
    for row in ABSENT:
        assert row.why
        assert all(key == key.lower() for key in row.keys)
        assert not {*row.keys} & (FILLED_IN | FIXED_KEYS)


def test_tags_are_never_known_to_be_absent() -> None:
    for key in ("aws:ResourceTag/x", "ssm:resourceTag/x", "aws:PrincipalTag/x"):
        assert is_tag(key)
        assert not is_absent(USER, key)
        assert not is_absent(ROLE, key)
    assert not is_tag("aws:ResourceAccount")


def test_absence_is_found_in_upper_and_lower_case() -> None:
    assert is_absent(USER, "AWS:CALLEDVIA")
    assert is_absent(USER, "SAML:sub")
    assert not is_absent(USER, "AWS:SourceIp")
