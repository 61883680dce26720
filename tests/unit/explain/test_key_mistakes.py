"""Condition keys that no request has, and all keys that AWS documents."""

import pytest

from ssmgate.explain.key_mistakes import right_key
from ssmgate.gate.decision.context_keys import ABSENT, FILLED_IN
from ssmgate.gate.decision.question import FIXED_KEYS

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL = [
    "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:ChatbotSourceArn",
    "aws:Ec2InstanceSourcePrivateIPv4", "aws:Ec2InstanceSourceVpc", "aws:EpochTime",
    "aws:FederatedProvider", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths", "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/Team", "aws:PrincipalType", "aws:referer", "aws:RequestedRegion",
    "aws:RequestTag/Team", "aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
    "aws:ResourceTag/Team", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn",
    "aws:SourceIdentity", "aws:SourceIp", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceVpc",
    "aws:SourceVpcArn", "aws:SourceVpce", "aws:TagKeys", "aws:TokenIssueTime", "aws:UserAgent",
    "aws:userid", "aws:username", "aws:ViaAWSService", "aws:VpceAccount", "aws:VpceOrgID",
    "aws:VpceOrgPaths", "aws:VpcSourceIp",
]  # fmt: skip
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
OF_SSM = [
    "ssm:AccessRequestId", "ssm:AutoApprove", "ssm:DocumentCategories", "ssm:DocumentType",
    "ssm:Overwrite", "ssm:Policies", "ssm:Recursive", "ssm:SessionDocumentAccessCheck",
    "ssm:SourceInstanceARN", "ssm:SyncType", "ssm:resourceTag/Team", "ssm:resourceTag/tag/x",
]  # fmt: skip
OTHERS = ["saml:sub", "sts:RoleSessionName", "s3:prefix", "ec2:Region", "iam:ResourceTag/Team"]


@pytest.mark.parametrize("key", [*GLOBAL, *OF_SSM, *OTHERS])
def test_keys_of_aws_get_no_advice(key):
    assert right_key(key) is None
    assert right_key(key.lower()) is None


def test_keys_of_own_tables_get_no_advice():
    listed = {key for row in ABSENT for key in row.keys if not key.endswith("*")}

    assert {key for key in listed | FILLED_IN | FIXED_KEYS if right_key(key)} == set()


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("ec2:ResourceTag/Env", "aws:ResourceTag/Env"),
        ("ec2:ResourceTag/${aws:username}", "aws:ResourceTag/${aws:username}"),
        ("ssm:resourceTags/Env", "ssm:resourceTag/Env"),
        ("ssm:ResourceTag", "ssm:resourceTag/TAG"),
        ("aws:ResourceTag", "aws:ResourceTag/TAG"),
        ("aws:PrincipalTags/Team", "aws:PrincipalTag/Team"),
        ("ssm:SessionDocumentAcessCheck", "ssm:SessionDocumentAccessCheck"),
        ("aws:MultifactorAuthPresents", "aws:MultiFactorAuthPresent"),
        ("aws:SourceIps", "aws:SourceIp"),
    ],
)
def test_advice_names_intended_key(key, right):
    assert right_key(key) == right
