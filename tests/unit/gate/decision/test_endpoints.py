"""Which URLs are endpoints of AWS, and which only resemble them."""

from __future__ import annotations

import pytest

from ssmgate.gate.decision.allowed_endpoints import allowed_origin, require_own
from ssmgate.gate.decision.endpoints import (
    Endpoints,
    Partition,
    is_own,
    not_at_aws,
    origin,
    shown,
)
from ssmgate.gate.decision.errors import ConfigurationProblem

AWS = Partition("aws", "amazonaws.com", "api.aws", r"^(us|eu|ca)\-\w+\-\d+$")
CHINA = Partition("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", r"^cn\-\w+\-\d+$")
GOV = Partition("aws-us-gov", "amazonaws.com", "api.aws", r"^us\-gov\-\w+\-\d+$")

OWN = [
    (AWS, "sts", "https://sts.us-east-1.amazonaws.com"),
    (AWS, "sts", "https://sts.us-east-1.amazonaws.com/"),
    (AWS, "sts", "https://sts.us-east-1.amazonaws.com:443"),
    (AWS, "sts", "https://sts.us-east-1.amazonaws.com."),
    (AWS, "sts", "HTTPS://STS.US-EAST-1.AmazonAWS.com"),
    (AWS, "sts", "https://sts.amazonaws.com"),
    (AWS, "sts", "https://sts-fips.us-east-1.amazonaws.com"),
    (AWS, "sts", "https://sts.eu-west-1.api.aws"),
    (AWS, "sts", "https://vpce-0a1b-x2y3.sts.us-east-1.vpce.amazonaws.com"),
    (AWS, "sts", "https://vpce-0a1b-x2y3-us-east-1a.sts.us-east-1.vpce.amazonaws.com"),
    (AWS, "ssm", "https://vpce-0a1b-x2y3.ssm.us-east-1.vpce.amazonaws.com"),
    (AWS, "ssm", "https://vpce-0a1b-x2y3.ssm-fips.us-east-1.vpce.amazonaws.com"),
    (AWS, "iam", "https://iam.amazonaws.com"),
    (AWS, "iam", "https://iam-fips.amazonaws.com"),
    (AWS, "iam", "https://iam.global.api.aws"),
    (CHINA, "iam", "https://iam.cn-north-1.amazonaws.com.cn"),
    (CHINA, "iam", "https://iam.global.api.amazonwebservices.com.cn"),
    (CHINA, "ssm", "https://vpce-0a1b-x2y3.ssm.cn-north-1.vpce.amazonaws.com.cn"),
    (GOV, "iam", "https://iam.us-gov.amazonaws.com"),
    (GOV, "iam", "https://iam.us-gov.api.aws"),
    (GOV, "sts", "https://sts.us-gov-west-1.amazonaws.com"),
]

OTHERS = [
    # Not TLS, or another port.
    (AWS, "iam", "http://iam.amazonaws.com"),
    (AWS, "iam", "https://iam.amazonaws.com:8443"),
    (AWS, "iam", "https://iam.amazonaws.com:80"),
    (AWS, "iam", "ftp://iam.amazonaws.com"),
    (AWS, "iam", "iam.amazonaws.com"),
    (AWS, "iam", ""),
    # Another host than it seems.
    (AWS, "iam", "https://iam.amazonaws.com@evil.example"),
    (AWS, "iam", "https://iam.amazonaws.com:443@evil.example"),
    (AWS, "iam", "https://me@iam.amazonaws.com"),
    (AWS, "iam", "https://evil.example\\@iam.amazonaws.com"),
    (AWS, "iam", "https://evil.example/@iam.amazonaws.com"),
    (AWS, "iam", "https://evil.example#iam.amazonaws.com"),
    (AWS, "iam", "https://evil.example?iam.amazonaws.com"),
    (AWS, "iam", "https://evil.example/iam.amazonaws.com"),
    (AWS, "iam", "https://iam.amazonaws.com.evil.example"),
    (AWS, "iam", "https://iam.evil-amazonaws.com"),
    (AWS, "iam", "https://evil-iam.amazonaws.com"),
    (AWS, "iam", "https://iamxamazonaws.com"),
    (AWS, "iam", "https://iam.amazonaws.com\n"),
    (AWS, "iam", "https://iam.amazonaws.com\n.evil.example"),
    (AWS, "iam", " https://iam.amazonaws.com"),
    (AWS, "iam", "https://\uff49am.amazonaws.com"),
    (AWS, "iam", "https://iam\uff0eamazonaws.com"),
    (AWS, "iam", "https://iam.amazonaws.com.."),
    (AWS, "iam", "https://127.0.0.1"),
    (AWS, "iam", "https://[::1]"),
    # Hosts below amazonaws.com that anyone can create.
    (AWS, "iam", "https://iam.s3.amazonaws.com"),
    (AWS, "iam", "https://iam.s3-us-west-2.amazonaws.com"),
    (AWS, "iam", "https://iam.s3.us-east-1.amazonaws.com"),
    (AWS, "sts", "https://sts.s3-website-us-east-1.amazonaws.com"),
    (AWS, "sts", "https://sts-fips.s3.amazonaws.com"),
    (AWS, "sts", "https://sts.us-east-1.s3.amazonaws.com"),
    (AWS, "ssm", "https://abc123.execute-api.us-east-1.amazonaws.com"),
    (AWS, "ssm", "https://ssm-1234567890.us-east-1.elb.amazonaws.com"),
    (AWS, "ssm", "https://ec2-203-0-113-1.us-east-1.compute.amazonaws.com"),
    (AWS, "ssm", "https://vpce-0a1b-x2y3.vpce-svc-0123.us-east-1.vpce.amazonaws.com"),
    (AWS, "ssm", "https://vpce-0a1b.x.ssm.us-east-1.vpce.amazonaws.com"),
    (AWS, "ssm", "https://x.ssm.us-east-1.vpce.amazonaws.com"),
    (AWS, "ssm", "https://vpce-0a1b-x2y3.ssm.s3.vpce.amazonaws.com"),
    # Another service, another partition.
    (AWS, "iam", "https://sts.us-east-1.amazonaws.com"),
    (AWS, "sts", "https://vpce-0a1b-x2y3.ssm.us-east-1.vpce.amazonaws.com"),
    (AWS, "iam", "https://iam.us-gov.amazonaws.com"),
    (AWS, "sts", "https://sts.us-gov-west-1.amazonaws.com"),
    (GOV, "sts", "https://sts.us-east-1.amazonaws.com"),
    (AWS, "iam", "https://iam.cn-north-1.amazonaws.com.cn"),
    (CHINA, "iam", "https://iam.amazonaws.com"),
]  # fmt: skip


@pytest.mark.parametrize(("partition", "service", "url"), OWN)
def test_accepts_endpoints_of_service(partition: Partition, service: str, url: str) -> None:
    assert is_own(url, service, partition)


@pytest.mark.parametrize(("partition", "service", "url"), OTHERS)
def test_rejects_other_urls(partition: Partition, service: str, url: str) -> None:
    assert not is_own(url, service, partition)
    with pytest.raises(ConfigurationProblem, match="locks keys"):
        require_own(url, service, partition, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iam.corp.example", "https://iam.corp.example:443"),
        ("IAM.Corp.Example.", "https://iam.corp.example:443"),
        ("iam.corp.example:8443", "https://iam.corp.example:8443"),
        ("https://iam.corp.example", "https://iam.corp.example:443"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://iam.corp.example", "http://iam.corp.example:80"),
        ("iam.corp.example/path", None),
        ("https://iam.corp.example/", None),
        ("https://user@iam.corp.example", None),
        ("*.corp.example", None),
        ("ftp://iam.corp.example", None),
        ("iam.corp.example:x", None),
        ("", None),
    ],
)
def test_reads_list_entries(text: str, expected: str | None) -> None:
    assert allowed_origin(text) == expected


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("iam.corp.example", "https://iam.corp.example", True),
        ("iam.corp.example", "https://IAM.corp.example:443/some/path", True),
        ("iam.corp.example", "http://iam.corp.example", False),
        ("iam.corp.example", "https://iam.corp.example:8443", False),
        ("iam.corp.example", "https://x.iam.corp.example", False),
        ("iam.corp.example", "https://iam.corp.example@evil.example", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001", False),
        ("http://127.0.0.1:5000", "https://127.0.0.1:5000", False),
    ],
)
def test_allows_only_listed_endpoints(entry: str, url: str, allowed: bool) -> None:
    assert (origin(url) == allowed_origin(entry)) is allowed


EAST = {"sts": "https://sts.us-east-1.amazonaws.com", "iam": "https://iam.amazonaws.com"}
SSM = "https://ssm.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, []),
        ({"iam": "http://127.0.0.1:1"}, ["IAM"]),
        ({"sts": "https://sts.corp.example"}, ["STS"]),
        ({"sts": "http://127.0.0.1:1", "iam": "http://127.0.0.1:1"}, ["STS", "IAM"]),
        # StartSession goes elsewhere too: a local AWS.
        (dict.fromkeys(("sts", "iam", "ssm"), "http://127.0.0.1:1"), []),
        ({"ssm": "http://127.0.0.1:1"}, []),
        # Another customer may create that host below AWS's suffix.
        (
            {
                "iam": "http://127.0.0.1:1",
                "ssm": "http://me@vpce-1.ssm.us-east-1.VPCE.amazonaws.com.:80/x",
            },
            ["IAM"],
        ),
    ],
)
def test_warns_if_only_session_starts_at_aws(changed: dict[str, str], named: list[str]) -> None:
    text = not_at_aws(Endpoints(**{**EAST, "ssm": SSM, **changed}), AWS)

    assert [name for name in ("STS", "IAM") if f"of {name} is" in text] == named
    assert bool(text) == bool(named)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:secret@h.example/p?token=secret#x", "https://h.example/p"),
        ("http://h.example:80/\x1b[31m\u202e é", "http://h.example:80/%1B[31m%E2%80%AE%20%C3%A9"),
    ],
)
def test_shows_urls_without_secrets_and_control_characters(url: str, text: str) -> None:
    assert shown(url) == text
