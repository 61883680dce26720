"""The second simulation after a denial: its requests, their number, and its possible results."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    Received,
    context_keys,
    document_tags,
    dripping,
    evaluation,
    identity,
    role,
    text,
    user,
    xml,
    xml_error,
)

pytestmark = pytest.mark.starts

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
OPS = f"arn:aws:iam::{ACCOUNT}:role/Ops"
DOCUMENT_TAG, PRINCIPAL_TAG, MFA = (
    "aws:ResourceTag/Team",
    "aws:PrincipalTag/Team",
    "aws:MultiFactorAuthPresent",
)
YES, NO = evaluation(), evaluation("implicitDeny")
DENY = evaluation("explicitDeny", policies=("Guard",))
FIRST = ["GetCallerIdentity", "SimulatePrincipalPolicy"]
KEYS = "GetContextKeysForPrincipalPolicy"
DENIED = "access denied (AccessDeniedException): "


def lacking(*keys: str) -> Answer:
    return evaluation("implicitDeny", missing=keys)


OPS_SESSION = identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/i-1", "AROAX:i-1")


def refused(code: str = "AccessDenied") -> Answer:
    return xml_error(code, "not authorized", 403)


@pytest.mark.parametrize(
    ("first", "look_ups", "asked"),
    [
        pytest.param(
            lacking(DOCUMENT_TAG), {"ListTagsForResource": document_tags(Team="ops")},
            ["ListTagsForResource", "SimulatePrincipalPolicy"], id="the document's tags",
        ),
        pytest.param(
            lacking("SSM:ResourceTag/team"), {"ListTagsForResource": document_tags(Team="ops")},
            ["ListTagsForResource", "SimulatePrincipalPolicy"], id="in whatever case",
        ),
        pytest.param(
            lacking(PRINCIPAL_TAG), {"GetUser": user(ALICE, Team="ops")},
            ["GetUser", "SimulatePrincipalPolicy"], id="the user's tags",
        ),
        pytest.param(
            lacking(MFA, DOCUMENT_TAG), {"ListTagsForResource": document_tags(Team="ops")},
            ["ListTagsForResource", "SimulatePrincipalPolicy"], id="beside a live key",
        ),
    ],
)  # fmt: skip
def test_resimulates_with_missing_tags(
    machine: Machine, first: Answer, look_ups: dict[str, Answer], asked: list[str]
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", first, YES)
    for operation, answer in look_ups.items():
        machine.aws.script(operation, answer)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0, ended.stderr
    assert machine.aws.operations == [*FIRST, *asked, "StartSession"]
    before, after = machine.aws.calls("SimulatePrincipalPolicy")
    assert after.parameters["ResourceArns.member.1"] == before.parameters["ResourceArns.member.1"]
    added = {k: v for k, v in after.context.items() if k not in before.context}
    names = ["aws:PrincipalTag/Team"] if "GetUser" in look_ups else [
        "aws:ResourceTag/Team", "ssm:resourceTag/Team",
    ]  # fmt: skip
    assert added == {name: ("string", ["ops"]) for name in names}
    assert before.context.items() <= {**after.context, **_clock(before)}.items()


def _clock(received: Received) -> dict[str, tuple[str, list[str]]]:
    return {name: received.context[name] for name in ("aws:CurrentTime", "aws:EpochTime")}


def test_reads_document_tags_from_ssm_and_user_tags_from_iam(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", lacking(DOCUMENT_TAG))
    machine.run("--target", TARGET, "--document-name", "Dev-Shell")
    machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG))
    machine.run("--target", TARGET)

    (tags,), (of_user,) = machine.aws.calls("ListTagsForResource"), machine.aws.calls("GetUser")
    assert tags.parameters == {"ResourceType": "Document", "ResourceId": "Dev-Shell"}
    assert of_user.parameters["UserName"] == "alice"


def test_role_tags_cost_no_call(machine: Machine) -> None:
    """GetRole returned them with the path, so that one call is left for the tags of the
    document.
    """
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, Team="ops"))
    machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG, DOCUMENT_TAG), YES)
    machine.aws.script("ListTagsForResource", document_tags(Team="web"))

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0, ended.stderr
    _, second = machine.aws.calls("SimulatePrincipalPolicy")
    assert second.context[PRINCIPAL_TAG] == ("string", ["ops"])
    assert second.context[DOCUMENT_TAG] == ("string", ["web"])
    assert len(machine.aws.calls("GetRole")) == 1


FOREIGN = "arn:aws:ssm:us-east-1:444455556666:document/Shared"
ELSEWHERE = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Dev-Shell"


@pytest.mark.parametrize(
    ("first", "words", "look_ups", "asked", "message"),
    [
        pytest.param(NO, (), {}, [KEYS], DENIED, id="no key was missing"),
        pytest.param(
            lacking("aws:username"), (), {}, [KEYS], DENIED, id="no tag was missing"
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags()},
            ["ListTagsForResource", KEYS], DENIED, id="an untagged document",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags(Owner="x")},
            ["ListTagsForResource", KEYS], DENIED, id="a document with another tag",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags(Team="x")},
            ["ListTagsForResource", "SimulatePrincipalPolicy", KEYS], DENIED,
            id="the wrong tag",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), ("AWS-StartSSHSession",), {}, [KEYS], DENIED,
            id="a document of AWS's",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (FOREIGN,), {}, [KEYS], DENIED,
            id="a document of another account",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (ELSEWHERE,), {}, [KEYS], DENIED,
            id="a document of another region",
        ),
        pytest.param(
            evaluation("explicitDeny", organizations=False), (), {}, [],
            "service control policy", id="a service control policy",
        ),
        pytest.param(
            NO, (), {KEYS: context_keys("aws:username", "aws:RequestedRegion")}, [KEYS],
            DENIED, id="keys that are known",
        ),
        pytest.param(NO, (), {KEYS: refused()}, [KEYS], DENIED, id="keys untold"),
        pytest.param(
            NO, (), {KEYS: xml_error("Throttling", "Rate exceeded")}, [KEYS] * 3,
            DENIED, id="throttled",
        ),
        pytest.param(NO, (), {KEYS: xml("")}, [KEYS], DENIED, id="keys left out"),
        pytest.param(
            NO, (), {KEYS: text("nonsense")}, [KEYS], DENIED, id="keys garbled"
        ),
        pytest.param(
            NO, (), {KEYS: context_keys("aws:SourceIp")}, [KEYS],
            '"aws:SourceIp" = "…"', id="an address that IAM did not miss",
        ),
        pytest.param(
            DENY, (), {KEYS: context_keys("s3:prefix", MFA)}, [KEYS],
            f'an explicit deny may depend on what only the live request has: {MFA}',
            id="a deny that may hang on MFA",
        ),
        pytest.param(
            lacking(MFA), (), {}, [], f'"{MFA}" = true', id="a live key, told at once"
        ),
    ],
)  # fmt: skip
def test_denial_stays_denial(
    machine: Machine,
    first: Answer,
    words: tuple[str, ...],
    look_ups: dict[str, Answer],
    asked: list[str],
    message: str,
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", first)
    machine.aws.script("ListTagsForResource", document_tags(Team="ops"))
    for operation, answer in look_ups.items():
        machine.aws.script(operation, answer)
    named = ("--document-name", *words) if words else ()

    ended = machine.run("--target", TARGET, *named)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert message in ended.stderr
    # The caller's policies are not read: standard error is not a terminal.
    assert machine.aws.operations == [*FIRST, *asked]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(refused(), id="refused"),
        pytest.param(evaluation("perhaps"), id="an unknown word"),
        pytest.param(text("<html>"), id="garbled"),
        pytest.param(xml(""), id="empty"),
        pytest.param(evaluation(name=f"{OPS}/x"), id="about something else"),
        pytest.param(evaluation("allowed", specific="implicitDeny"), id="contradicting itself"),
        pytest.param(evaluation("allowed", boundary=False), id="outside the boundary"),
    ],
)
def test_second_answer_other_than_allow_starts_nothing(machine: Machine, second: Answer) -> None:
    machine.aws.script("SimulatePrincipalPolicy", lacking(DOCUMENT_TAG), second)
    machine.aws.script("ListTagsForResource", document_tags(Team="ops"))

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert not machine.aws.calls("StartSession")


def test_tags_must_allow_each_possible_document(machine: Machine) -> None:
    """`aws-x` may belong to AWS or to the account: tags of one do not allow the other."""
    machine.aws.script("SimulatePrincipalPolicy", NO, lacking(DOCUMENT_TAG), YES)
    machine.aws.script("ListTagsForResource", document_tags(Team="ops"))

    ended = machine.run("--target", TARGET, "--document-name", "aws-x")

    assert ended.returncode == 254
    assert not machine.aws.calls("StartSession")


def test_allow_is_not_resimulated(machine: Machine) -> None:
    assert machine.run("--target", TARGET).returncode == 0
    assert machine.aws.operations == [*FIRST, "StartSession"]


def test_hanging_tag_lookup_leaves_denial(
    machine: Machine,
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", NO)
    machine.aws.script(KEYS, dripping(60))

    ended = machine.run("--target", TARGET, timeout=45)

    assert ended.returncode == 254
    assert DENIED in ended.stderr


def test_configured_live_key_is_not_unknown(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", lacking("aws:SourceIp"))
    machine.aws.script(KEYS, context_keys("aws:sourceip"))

    ended = machine.run("--target", TARGET, SSMGATE_CONTEXT='{"aws:SourceIp": "198.51.100.7"}')

    assert ended.returncode == 254
    assert DENIED in ended.stderr


@pytest.mark.parametrize(
    ("name", "document", "status"),
    [
        ("tagged", "Ops-Shell", 0),
        ("tagged", "Bare-Shell", 254),
        ("tagged", "SSM-SessionManagerRunShell", 254),
        ("unreadable", "Ops-Shell", 254),
        ("ops-user", "Bare-Shell", 0),
        ("web-user", "Bare-Shell", 254),
        ("OpsRole", "Ops-Shell", 0),
        ("OpsRole", "Bare-Shell", 254),
        ("WebRole", "Ops-Shell", 254),
    ],
)
def test_tags_decide_in_sandbox(
    resident: Callable[[str], Machine], name: str, document: str, status: int
) -> None:
    machine = resident(name)

    ended = machine.run("--target", "i-0aaaaaaaaaaaaaaaa", "--document-name", document)

    assert ended.returncode == status, ended.stderr
    assert machine.plugin.started == (status == 0)
