"""`--redact`: what a report reveals about an account is masked consistently."""

import pytest

from ssmgate.explain.redact import Redactor
from ssmgate.gate.decision.printable import line

ACCOUNT = "210987654321"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param(
            f"arn:aws:iam::{ACCOUNT}:role/team/Ops and role_Ops_INLINE",
            "arn:aws:iam::000000000001:role/path-1/role-1 and role_role-1_INLINE",
            id="a name inside a policy id",
        ),
        pytest.param(
            f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/ann@corp.example",
            "arn:aws:sts::000000000001:assumed-role/role-1/session-1",
            id="a session named for a person",
        ),
        pytest.param(
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Payroll, Payroll",
            "arn:aws:ssm:us-east-1:000000000001:document/document-1, document-1",
            id="a customer's document",
        ),
        pytest.param(
            "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession",
            "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession",
            id="AWS's own document stays",
        ),
        pytest.param(
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell",
            "arn:aws:ssm:us-east-1:000000000001:document/SSM-SessionManagerRunShell",
            id="the default document stays",
        ),
        pytest.param(
            f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0123456789abcdef0 i-0123456789abcdef0",
            "arn:aws:ec2:us-east-1:000000000001:instance/i-00000000000000001 i-00000000000000001",
            id="a node",
        ),
        pytest.param("AIDAEXAMPLEID1234567", "ID000000000000000001", id="a user id"),
        pytest.param(
            "AROAEXAMPLEID1234567:ann, ann",
            "ID000000000000000001:session-1, session-1",
            id="a user id with a session name",
        ),
        pytest.param(
            f"{ACCOUNT}:ann", "000000000001:session-1", id="a user id of a federated user"
        ),
        pytest.param(f"aws:userid={ACCOUNT}", "aws:userid=000000000001", id="a user id of root"),
        pytest.param("ABIAEXAMPLEID1234567", "ID000000000000000001", id="another unique id"),
        pytest.param(
            "Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1"
            "#/authorization-details/EXAMPLE1a2b3c for complete details, or call the"
            " GetRequestAuthorizationDetails API with the following authorization id:"
            " EXAMPLE1a2b3c",
            "Go to https://us-east-1.console.aws.amazon.com/iam/home?region=us-east-1"
            "#/authorization-details/authorization-1 for complete details, or call the"
            " GetRequestAuthorizationDetails API with the following authorization id:"
            " authorization-1",
            id="an authorization id and its link",
        ),
        pytest.param("1.2.764.0 and later", "1.2.764.0 and later", id="a version"),
        pytest.param("SSM Agent 3.2.1.0", "SSM Agent 3.2.1.0", id="a version like an address"),
        pytest.param("http://10.1.2.3:80/", "http://192.0.2.1:80/", id="an address in a URL"),
        pytest.param("from 10.1.2.3", "from 192.0.2.1", id="an address"),
        pytest.param("ask ann@corp.example", "ask person-1@example.com", id="a person"),
        pytest.param("line 3, us-east-1", "line 3, us-east-1", id="nothing to mask"),
    ],
)
def test_masks_sensitive_parts(text, masked):
    assert Redactor().text(text) == masked


def test_masks_are_consistent_and_distinct():
    redactor = Redactor()

    first, again, other = (redactor.text(f"{a}") for a in (ACCOUNT, ACCOUNT, "109876543210"))

    assert first == again != other


def test_masks_name_outside_its_arn():
    value = {"policy": "user_ann_INLINE", "arn": f"arn:aws:iam::{ACCOUNT}:user/ann", "line": 3}

    assert Redactor().json(value) == {
        "policy": "user_user-1_INLINE",
        "arn": "arn:aws:iam::000000000001:user/user-1",
        "line": 3,
    }


def test_masks_user_id_of_unknown_form():
    value = {
        "context": [{"key": "aws:userid", "values": ["2foq8hr2qcfxqrn78q84"]}],
        "reason": "session/2foq8hr2qcfxqrn78q84-*",
    }

    assert Redactor().json(value) == {
        "context": [{"key": "aws:userid", "values": ["ID000000000000000001"]}],
        "reason": "session/ID000000000000000001-*",
    }


@pytest.mark.parametrize(
    "text",
    [
        f"arn:aws:iam::{ACCOUNT}:user/ann i-0123456789abcdef0 10.0.0.1",
        f"AROAEXAMPLEID1234567:ann {ACCOUNT}:bob",
        "authorization id: 1a2b3c",
    ],
)
def test_masking_is_idempotent(text):
    redactor = Redactor()
    once = redactor.text(text)

    assert redactor.text(once) == once


@pytest.mark.parametrize("unseen", ["\x1b", "\n", "\u202e", "\U000e0041"])
@pytest.mark.parametrize(
    "secret",
    [ACCOUNT, "i-0123456789abcdef0", "mi-0123456789abcdef0", "AROA0123456789ABC", "10.1.2.3"],
)
def test_escaped_characters_do_not_prevent_masking(unseen, secret):
    masked_text = Redactor().text(line(f"a {unseen}{secret}{unseen} b"))

    assert secret not in masked_text
    assert masked_text.count(line(unseen)) == 2


def test_masks_escaped_form_of_name():
    redactor = Redactor()
    redactor.name("Dev\u200bShell", "document")

    assert redactor.text(line("may use Dev\u200bShell")) == "may use document-1"
    assert redactor.json(["Dev\u200bShell"]) == ["document-1"]
