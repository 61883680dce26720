"""The ARNs of a document, and the principal of a caller."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.arn import Principal, account_of, document_arns, principal
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.target import target_arn

HERE = {"partition": "aws", "region": "us-east-1", "account": "111122223333"}
MINE = "arn:aws:ssm:us-east-1:111122223333:document/"
AWSS = "arn:aws:ssm:us-east-1::document/"


@pytest.mark.parametrize(
    ("name", "arns"),
    [
        pytest.param(None, [MINE + "SSM-SessionManagerRunShell"], id="the default"),
        pytest.param(
            "SSM-SessionManagerRunShell", [MINE + "SSM-SessionManagerRunShell"], id="named"
        ),
        pytest.param("Dev-Shell", [MINE + "Dev-Shell"], id="of a customer"),
        pytest.param("AWS-StartSSHSession", [AWSS + "AWS-StartSSHSession"], id="of AWS"),
        pytest.param("AWSSupport-X", [AWSS + "AWSSupport-X"], id="of AWS Support"),
        pytest.param(
            "AWSConfigRemediation-X", [AWSS + "AWSConfigRemediation-X"], id="of AWS Config"
        ),
        pytest.param("AWSEC2-X", [AWSS + "AWSEC2-X"], id="of EC2"),
        pytest.param("AmazonCloudWatch-X", [AWSS + "AmazonCloudWatch-X"], id="of Amazon"),
        pytest.param(
            "aws-startsshsession",
            [AWSS + "aws-startsshsession", MINE + "aws-startsshsession"],
            id="reserved, in lower case",
        ),
        pytest.param("AWSFoo", [AWSS + "AWSFoo", MINE + "AWSFoo"], id="reserved, no dash"),
        pytest.param("amzn-x", [AWSS + "amzn-x", MINE + "amzn-x"], id="reserved amzn"),
        pytest.param("AMAZON-x", [AWSS + "AMAZON-x", MINE + "AMAZON-x"], id="reserved AMAZON"),
        pytest.param(
            "arn:aws:ssm:us-east-1:444455556666:document/Shared",
            ["arn:aws:ssm:us-east-1:444455556666:document/Shared"],
            id="of another account",
        ),
        pytest.param(MINE + "Dev-Shell", [MINE + "Dev-Shell"], id="full ARN of one's own"),
        pytest.param(AWSS + "AWS-StartSSHSession", [AWSS + "AWS-StartSSHSession"], id="AWS's ARN"),
        pytest.param(
            "arn:aws-cn:ssm:cn-north-1:111122223333:document/X-Y",
            ["arn:aws-cn:ssm:cn-north-1:111122223333:document/X-Y"],
            id="an ARN of another partition, as it is",
        ),
        pytest.param(
            MINE + "AWS-StartSSHSession",
            [MINE + "AWS-StartSSHSession", AWSS + "AWS-StartSSHSession"],
            id="AWS's document put into an account",
        ),
        pytest.param(
            AWSS + "Dev-Shell",
            [AWSS + "Dev-Shell", MINE + "Dev-Shell"],
            id="a customer's document without account",
        ),
    ],
)
def test_builds_document_arns(name: str | None, arns: list[str]) -> None:
    assert list(document_arns(name, **HERE)) == arns


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-eusc", "eusc-de-east-1")],
)
def test_document_arn_has_partition_and_region_of_call(partition: str, region: str) -> None:
    arns = document_arns(None, partition=partition, region=region, account="111122223333")

    assert arns == (
        f"arn:{partition}:ssm:{region}:111122223333:document/SSM-SessionManagerRunShell",
    )


@pytest.mark.parametrize(
    "name",
    [
        "Dev-Shell:1",
        "Dev-Shell:$LATEST",
        "document/Dev-Shell",
        "../Dev-Shell",
        "arn:aws:ssm:us-east-1:111122223333:document/",
        "arn:aws:ssm:us-east-1:111122223333:document/A/B",
        "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell:1",
        "arn:aws:ssm:us-east-1:1111:document/Dev-Shell",
        "arn:aws:ec2:us-east-1:111122223333:instance/i-1",
        "arn:aws:ssm::111122223333:document/Dev-Shell",
        "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell\n",
        "Dev-Shell\n",
        "ab",
        "*",
        "",
        "Dev-Shéll",
    ],
)
def test_invalid_document_name_is_usage_error(name: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid value for --document-name"):
        document_arns(name, **HERE)


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        pytest.param(
            "arn:aws:iam::111122223333:user/alice",
            Principal("user", "alice", "arn:aws:iam::111122223333:user/alice"),
            id="user",
        ),
        pytest.param(
            "arn:aws:iam::111122223333:user/division/dev/alice",
            Principal("user", "alice", "arn:aws:iam::111122223333:user/division/dev/alice"),
            id="user with a path",
        ),
        pytest.param(
            "arn:aws:sts::111122223333:assumed-role/Dev/i-02573cafcfEXAMPLE",
            Principal("role", "Dev", "arn:aws:iam::111122223333:role/Dev"),
            id="instance profile",
        ),
        pytest.param(
            "arn:aws-us-gov:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0a/a@b.example",
            Principal(
                "role",
                "AWSReservedSSO_Dev_0a",
                "arn:aws-us-gov:iam::111122223333:role/AWSReservedSSO_Dev_0a",
            ),
            id="permission set",
        ),
        pytest.param(
            "arn:aws:sts::111122223333:federated-user/bob",
            Principal("federated-user", "bob", ""),
            id="federated user",
        ),
        pytest.param("arn:aws:iam::111122223333:root", Principal("root", "root", ""), id="root"),
        pytest.param(
            "arn:aws-us-gov:iam::111122223333:root", Principal("root", "root", ""), id="root, gov"
        ),
        pytest.param(
            "arn:aws-cn:iam::111122223333:user/a+b=c,d.e@f-g_h",
            Principal(
                "user", "a+b=c,d.e@f-g_h", "arn:aws-cn:iam::111122223333:user/a+b=c,d.e@f-g_h"
            ),
            id="every sign that a name may have",
        ),
        pytest.param(
            "arn:aws-cn:sts::111122223333:federated-user/bob",
            Principal("federated-user", "bob", ""),
            id="federated user, China",
        ),
        *(
            pytest.param(arn, Principal("unknown", "", ""), id=arn or "empty")
            for arn in (
                "",
                "arn:aws:iam::111122223333:role/Dev",
                "arn:aws:iam::1111:user/alice",
                "arn:aws:iam::111122223333:user/",
                "arn:aws:iam::111122223333:user/alice\n",
                "arn:aws:iam::111122223333:rooted",
                "arn::iam::111122223333:root",
                "arn::iam::111122223333:user/alice",
                "arn::sts::111122223333:assumed-role/Dev/a",
                "arn::sts::111122223333:federated-user/bob",
                "arn:aws:sts::111122223333:federated-user/bob*",
                "arn:aws:sts::111122223333:assumed-role/Dev",
                "arn:aws:sts::111122223333:assumed-role/Dev/a/b",
                "arn:aws:iam::111122223333:user/*",
                "arn:aws:iam::111122223333:service/x",
            )
        ),
    ],
)
def test_reads_principal(arn: str, expected: Principal) -> None:
    assert principal(arn) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("i-0a1", "arn:aws:ec2:us-east-1:111122223333:instance/i-0a1"),
        ("mi-0a1", "arn:aws:ssm:us-east-1:111122223333:managed-instance/mi-0a1"),
        ("ecs:prod_0123abc_0123abc-99", "arn:aws:ecs:us-east-1:111122223333:task/prod/0123abc"),
        ("i-0aZ", "arn:aws:ec2:us-east-1:111122223333:instance/i-0aZ"),
        ("mi-0aZ", "arn:aws:ssm:us-east-1:111122223333:managed-instance/mi-0aZ"),
        ("ecs:P-r_0_0A_0A-9", "arn:aws:ecs:us-east-1:111122223333:task/P-r_0/0A"),
        ("ecs:_0a_0a-9", None),
        ("ecs:a__0a-9", None),
        ("ecs:a_0a_", None),
        ("ecs:a_0a_0a-9\n", None),
        ("sagemaker-cluster:x_y-i-1", None),
        ("i-*", None),
        ("i-", None),
        ("i-1\n", None),
        ("mi-", None),
        ("mi-1\n", None),
        ("web-1", None),
    ],
)
def test_builds_target_arn(target: str, expected: str | None) -> None:
    assert target_arn(target, **HERE) == expected


@pytest.mark.parametrize(
    ("arn", "account"),
    [
        (MINE + "X", "111122223333"),
        (AWSS + "X", ""),
        ("arn:aws:logs:us-east-1:111122223333:log-group:x:*", "111122223333"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_reads_account_of_arn(arn: str, account: str) -> None:
    assert account_of(arn) == account
