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
ALLOWED, IMPLICIT = evaluation(), evaluation("implicitDeny")
DENY = evaluation("explicitDeny", policies=("Guard",))
FIRST = ["GetCallerIdentity", "SimulatePrincipalPolicy"]
KEYS = "GetContextKeysForPrincipalPolicy"
BOTH = ["GetUser", "ListTagsForResource"]
DENIED = "access denied (AccessDeniedException): "


def lacking(*keys: str) -> Answer:
    return evaluation("implicitDeny", missing=keys)


OPS_SESSION = identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/i-1", "AROAX:i-1")


def refused(code: str = "AccessDenied") -> Answer:
    return xml_error(code, "not authorized", 403)


@pytest.mark.parametrize(
    ("first", "look_ups"),
    [
        pytest.param(
            lacking(DOCUMENT_TAG), {"ListTagsForResource": document_tags(Team="ops")},
            id="the document's tags",
        ),
        pytest.param(
            lacking("SSM:ResourceTag/team"), {"ListTagsForResource": document_tags(Team="ops")},
            id="in another case",
        ),
        pytest.param(
            lacking(PRINCIPAL_TAG), {"GetUser": user(ALICE, Team="ops")}, id="the user's tags",
        ),
        pytest.param(
            lacking(MFA, DOCUMENT_TAG), {"ListTagsForResource": document_tags(Team="ops")},
            id="despite an unknown key",
        ),
    ],
)  # fmt: skip
def test_resimulates_with_missing_tags(
    machine: Machine, first: Answer, look_ups: dict[str, Answer]
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", first, ALLOWED)
    for operation in BOTH:
        machine.aws.script(operation, look_ups.get(operation, refused()))

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0, ended.stderr
    operations = machine.aws.operations
    assert operations[:2] == FIRST
    # Those of both kinds at the same time, so in either order.
    assert sorted(operations[2:-2]) == BOTH
    assert operations[-2:] == ["SimulatePrincipalPolicy", "StartSession"]
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

    tags, of_user = machine.aws.calls("ListTagsForResource")[0], machine.aws.calls("GetUser")[0]
    assert tags.parameters == {"ResourceType": "Document", "ResourceId": "Dev-Shell"}
    assert of_user.parameters["UserName"] == "alice"


def test_role_tags_are_read_with_document_tags(machine: Machine) -> None:
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, Team="ops"))
    machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG, DOCUMENT_TAG), ALLOWED)
    machine.aws.script("ListTagsForResource", document_tags(Team="web"))

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0, ended.stderr
    _, second = machine.aws.calls("SimulatePrincipalPolicy")
    assert second.context[PRINCIPAL_TAG] == ("string", ["ops"])
    assert second.context[DOCUMENT_TAG] == ("string", ["web"])
    assert sorted(machine.aws.operations[3:-2]) == ["GetRole", "ListTagsForResource"]


@pytest.mark.parametrize("trusted_to", ["sts:TagSession", "sts:*", "*"])
def test_ignores_role_tags_if_sessions_may_be_tagged(machine: Machine, trusted_to: str) -> None:
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, "sts:AssumeRole", trusted_to, Team="ops"))
    machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG), ALLOWED)
    machine.aws.script("ListTagsForResource", document_tags())

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert "could not check access to session document " in ended.stderr
    assert f'"{PRINCIPAL_TAG}" = "…"' in ended.stderr
    assert len(machine.aws.calls("SimulatePrincipalPolicy")) == 1
    assert not machine.aws.calls("StartSession")


NO_TAGS = {"ListTagsForResource": document_tags()}
FOREIGN = "arn:aws:ssm:us-east-1:444455556666:document/Shared"
ELSEWHERE = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Dev-Shell"


UNKNOWN = "could not check access to session document "
NOT_READ = "which ssmgate does not read in other accounts and regions"
LISTED = "may depend on condition keys that could not be listed"


@pytest.mark.parametrize(
    ("first", "words", "look_ups", "asked", "message"),
    [
        pytest.param(IMPLICIT, (), {}, [], DENIED, id="no key was missing"),
        pytest.param(
            IMPLICIT, (), {KEYS: context_keys(MFA)}, [], DENIED, id="no missing key, MFA used"
        ),
        pytest.param(
            lacking("aws:username", "s3:prefix", "saml:sub"), (), {}, [], DENIED,
            id="keys known to be absent",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags()},
            BOTH, DENIED, id="an untagged document",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags(Owner="x")},
            BOTH, DENIED, id="a document with another tag",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (), {"ListTagsForResource": document_tags(Team="x")},
            [*BOTH, "SimulatePrincipalPolicy"], DENIED, id="the wrong tag",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), ("AWS-StartSSHSession",), {}, [], DENIED,
            id="a document of AWS",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (FOREIGN,), {}, ["GetUser"], NOT_READ,
            id="a document of another account",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), (ELSEWHERE,), {}, ["GetUser"], NOT_READ,
            id="a document of another region",
        ),
        pytest.param(
            evaluation("explicitDeny", organizations=False), (),
            {"ListTagsForResource": document_tags()}, BOTH,
            "an explicit deny in a service control policy applies, but may depend on",
            id="a service control policy",
        ),
        pytest.param(
            DENY, (), {KEYS: context_keys("aws:username", "aws:RequestedRegion")}, [KEYS],
            DENIED, id="keys that are known",
        ),
        pytest.param(DENY, (), {KEYS: xml("")}, [KEYS], DENIED, id="no keys"),
        pytest.param(DENY, (), {KEYS: refused(), **NO_TAGS}, [*BOTH, KEYS], LISTED, id="refused"),
        pytest.param(
            DENY, (), {KEYS: xml_error("Throttling", "Rate exceeded"), **NO_TAGS},
            [*BOTH, *[KEYS] * 3], LISTED, id="throttled",
        ),
        pytest.param(
            DENY, (), {KEYS: text("nonsense"), **NO_TAGS}, [*BOTH, KEYS], LISTED, id="garbled"
        ),
        pytest.param(
            DENY, (), {KEYS: context_keys("aws:SourceIp")}, [KEYS],
            '"aws:SourceIp" = "…"', id="a deny that may depend on the address",
        ),
        pytest.param(
            DENY, (), {KEYS: context_keys("s3:prefix", MFA)}, [KEYS],
            DENIED, id="a deny without MFA, with long-term keys",
        ),
        pytest.param(
            lacking(MFA), (), {}, [], DENIED, id="MFA is missing, with long-term keys"
        ),
        pytest.param(
            lacking("aws:SourceIp"), (), {}, [], '"aws:SourceIp" = "…"', id="an unknown key"
        ),
    ],
)  # fmt: skip
def test_denial_after_lookup_starts_nothing(
    machine: Machine,
    first: Answer,
    words: tuple[str, ...],
    look_ups: dict[str, Answer],
    asked: list[str],
    message: str,
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", first)
    machine.aws.script("ListTagsForResource", document_tags(Team="ops"))
    machine.aws.script("GetUser", user(ALICE))
    for operation, answer in look_ups.items():
        machine.aws.script(operation, answer)
    named = ("--document-name", *words) if words else ()

    ended = machine.run("--target", TARGET, *named)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert message in ended.stderr
    assert (UNKNOWN in ended.stderr) != (DENIED in ended.stderr)
    # The caller's policies are not read: standard error is not a terminal.
    assert machine.aws.operations[:2] == FIRST
    assert sorted(machine.aws.operations[2:]) == sorted(asked)


@pytest.mark.parametrize(
    ("first", "keys", "token", "message"),
    [
        pytest.param(lacking(MFA), None, "t", f'"{MFA}" = true', id="temporary"),
        pytest.param(
            DENY, context_keys(MFA), "t", "an explicit deny may depend on condition keys whose"
            f" values ssmgate does not know: {MFA}", id="temporary, a deny",
        ),
        pytest.param(lacking(MFA), None, None, DENIED, id="long-term"),
    ],
)  # fmt: skip
def test_mfa_is_known_to_be_absent_with_long_term_keys(
    machine: Machine, first: Answer, keys: Answer | None, token: str | None, message: str
) -> None:
    """Only temporary credentials say whether MFA was used, and no operation reports it."""
    machine.aws.script("SimulatePrincipalPolicy", first)
    if keys is not None:
        machine.aws.script(KEYS, keys)

    ended = machine.run("--target", TARGET, AWS_SESSION_TOKEN=token)

    assert ended.returncode == 254
    assert message in ended.stderr
    assert (UNKNOWN in ended.stderr) == (token is not None)


@pytest.mark.parametrize("name", ["Ops", "AWSReservedSSO_Ops_0123456789abcdef"])
@pytest.mark.parametrize("first", [DENY, lacking("aws:PrincipalArn")])
def test_denial_that_path_of_role_may_change_is_unknown(
    machine: Machine, name: str, first: Answer
) -> None:
    """The ARN of a session does not contain the path, and GetRole is denied."""
    session = identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/s", "AROAX:s")
    machine.aws.script("GetCallerIdentity", session)
    machine.aws.script("GetRole", refused())
    machine.aws.script("SimulatePrincipalPolicy", first)
    machine.aws.script(KEYS, context_keys("aws:PrincipalArn"))

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert UNKNOWN in ended.stderr
    assert (
        "to let ssmgate read the path of the role, allow the caller iam:GetRole on" in ended.stderr
    )
    assert ("role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_" in ended.stderr) == (
        name != "Ops"
    )
    asked = machine.aws.calls("SimulatePrincipalPolicy")[0]
    assert "aws:PrincipalArn" not in asked.context


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
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT, lacking(DOCUMENT_TAG), ALLOWED)
    machine.aws.script("ListTagsForResource", document_tags(Team="ops"))

    ended = machine.run("--target", TARGET, "--document-name", "aws-x")

    assert ended.returncode == 254
    assert not machine.aws.calls("StartSession")


def test_allow_is_not_resimulated(machine: Machine) -> None:
    assert machine.run("--target", TARGET).returncode == 0
    assert machine.aws.operations == [*FIRST, "StartSession"]


def test_hanging_lookup_starts_nothing(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", DENY)
    machine.aws.script(KEYS, dripping(60))

    ended = machine.run("--target", TARGET, timeout=45)

    assert ended.returncode == 254
    assert UNKNOWN in ended.stderr


def test_configured_live_key_is_known(machine: Machine) -> None:
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
def test_sandbox_and_gate_agree_about_tags(
    resident: Callable[[str], Machine], name: str, document: str, status: int
) -> None:
    machine = resident(name)

    ended = machine.run("--target", "i-0aaaaaaaaaaaaaaaa", "--document-name", document)

    assert ended.returncode == status, ended.stderr
    assert machine.plugin.started == (status == 0)
