"""Policies that compare tags: of the resource, of the principal, and both with each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import TARGET, Machine, make_resident
from fakes.sandbox import NODE, OWNER, Server
from fakes.sandbox import text as text_of
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    context_keys,
    credentials,
    document_tags,
    evaluation,
    identity,
    json_error,
    json_ok,
    role,
    text,
    user,
    xml_error,
)

pytestmark = pytest.mark.starts

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
OPS = f"arn:aws:iam::{ACCOUNT}:role/Ops"
DOCUMENT_TAG, PRINCIPAL_TAG = "aws:ResourceTag/Team", "aws:PrincipalTag/Team"
ALLOWED, IMPLICIT, DENY = evaluation(), evaluation("implicitDeny"), evaluation("explicitDeny")
FIRST = ["GetCallerIdentity", "SimulatePrincipalPolicy"]
KEYS = "GetContextKeysForPrincipalPolicy"
NOT_LISTED = json_error("AccessDeniedException", "not authorized")
NOT_AUTHORIZED = xml_error("AccessDenied", "not authorized", 403)
OPS_SESSION = identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/i-1", "AROAX:i-1")


def lacking(*keys: str) -> Answer:
    return evaluation("implicitDeny", missing=keys)


BOTH_TAGS = {
    "ListTagsForResource": document_tags(Team="ops"),
    "GetUser": user(ALICE, Team="ops"),
}


@pytest.mark.parametrize(
    ("first", "keys", "read"),
    [
        pytest.param(
            lacking(DOCUMENT_TAG, PRINCIPAL_TAG), None, {"ListTagsForResource", "GetUser"},
            id="tag equals tag",
        ),
        pytest.param(
            DENY, context_keys(DOCUMENT_TAG, "AWS:principaltag/team"),
            {"ListTagsForResource", "GetUser"}, id="denied unless tag equals tag",
        ),
        pytest.param(DENY, context_keys(PRINCIPAL_TAG), {"GetUser"}, id="denied by the user's tag"),
        pytest.param(
            DENY, context_keys("ssm:resourceTag/Team"), {"ListTagsForResource"},
            id="denied by the document's tag",
        ),
        pytest.param(
            DENY, NOT_AUTHORIZED, {"ListTagsForResource", "GetUser"}, id="denied, keys not listable"
        ),
    ],
)  # fmt: skip
def test_sends_resource_and_principal_tags(
    machine: Machine, first: Answer, keys: Answer | None, read: set[str]
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", first, ALLOWED)
    for operation, answer in BOTH_TAGS.items():
        machine.aws.script(operation, answer)
    if keys is not None:
        machine.aws.script(KEYS, keys)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0, ended.stderr
    before = [*FIRST, *([] if keys is None else [KEYS])]
    operations = machine.aws.operations
    assert operations[: len(before)] == before
    # Those of both kinds at the same time, so in either order.
    assert sorted(operations[len(before) : -2]) == sorted(read)
    assert operations[-2:] == ["SimulatePrincipalPolicy", "StartSession"]
    first_asked, last_asked = machine.aws.calls("SimulatePrincipalPolicy")
    added = last_asked.context.keys() - first_asked.context.keys()
    expected = {PRINCIPAL_TAG} if "GetUser" in read else set()
    if "ListTagsForResource" in read:
        expected |= {"aws:ResourceTag/Team", "ssm:resourceTag/Team"}
    assert added == expected


@pytest.mark.parametrize(
    ("first", "second", "look_ups", "calls", "why"),
    [
        pytest.param(
            lacking(DOCUMENT_TAG), None, {"ListTagsForResource": NOT_LISTED}, 2,
            f"the policies test {DOCUMENT_TAG}, which could not be read"
            " (ssm:ListTagsForResource)", id="the document's tags may not be read",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), None,
            {"ListTagsForResource": json_ok({"TagList": [{"Key": "Team"}]})}, 2,
            "could not be read (ssm:ListTagsForResource)", id="half a tag",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), None, {"ListTagsForResource": text("<html>", 200)}, 2,
            "could not be read (ssm:ListTagsForResource)", id="invalid tags",
        ),
        pytest.param(
            lacking(PRINCIPAL_TAG), None, {"GetUser": NOT_AUTHORIZED}, 2,
            f"the policies test {PRINCIPAL_TAG}, which could not be read (iam:GetUser)",
            id="the user may not be read",
        ),
        pytest.param(
            lacking(PRINCIPAL_TAG), None, {"GetUser": user(f"{ALICE}s", Team="ops")}, 2,
            "could not be read (iam:GetUser)", id="another user's tags",
        ),
        pytest.param(
            lacking(PRINCIPAL_TAG, DOCUMENT_TAG), IMPLICIT,
            {"ListTagsForResource": NOT_LISTED, "GetUser": user(ALICE, Team="ops")}, 3,
            "could not be read (ssm:ListTagsForResource)", id="only the user's could be read",
        ),
        pytest.param(
            DENY, None, {KEYS: context_keys(PRINCIPAL_TAG), "GetUser": NOT_AUTHORIZED}, 2,
            f"an explicit deny may depend on {PRINCIPAL_TAG}, which could not be read",
            id="a deny, and the user may not be read",
        ),
        pytest.param(
            DENY, DENY, {KEYS: context_keys(DOCUMENT_TAG, PRINCIPAL_TAG),
            "GetUser": NOT_AUTHORIZED}, 4, "which could not be read (iam:GetUser)",
            id="a deny, and only the document's could be read",
        ),
        pytest.param(
            lacking(DOCUMENT_TAG), xml_error("Throttling", "Rate exceeded"), {}, 5,
            "Rate exceeded", id="tags that IAM rejects",
        ),
    ],
)  # fmt: skip
def test_denial_with_unknown_tag_is_unknown(
    machine: Machine,
    first: Answer,
    second: Answer | None,
    look_ups: dict[str, Answer],
    calls: int,
    why: str,
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", *([first] if second is None else [first, second]))
    for operation, answer in {**BOTH_TAGS, **look_ups}.items():
        machine.aws.script(operation, answer)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert "could not check access to session document " in ended.stderr
    assert why in ended.stderr
    assert len(machine.aws.operations) - len(FIRST) == calls
    assert not machine.aws.calls("StartSession")


@pytest.mark.parametrize(
    ("first", "tags", "keys", "code"),
    [
        pytest.param(lacking(PRINCIPAL_TAG), {"Team": "web"}, None, "live", id="another tag"),
        pytest.param(lacking(PRINCIPAL_TAG), {}, None, "live", id="no tag"),
        pytest.param(DENY, {"Team": "web"}, context_keys(PRINCIPAL_TAG), "live", id="a deny"),
        pytest.param(
            DENY, {"Team": "web"}, context_keys("aws:RequestedRegion"), "denied",
            id="a deny that no tag can turn",
        ),
        pytest.param(IMPLICIT, {"Team": "web"}, context_keys(), "denied", id="no grant"),
    ],
)  # fmt: skip
def test_denial_that_session_tags_may_change_is_unknown(
    machine: Machine,
    first: Answer,
    tags: dict[str, str],
    keys: Answer | None,
    code: str,
) -> None:
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, "sts:AssumeRole", "sts:TagSession", **tags))
    machine.aws.script("SimulatePrincipalPolicy", first)
    machine.aws.script("ListTagsForResource", document_tags())
    machine.aws.script(KEYS, keys or context_keys())

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    message = f"condition keys whose values ssmgate does not know: {PRINCIPAL_TAG}"
    assert (message in ended.stderr, "access denied (" in ended.stderr) == (
        code == "live",
        code == "denied",
    )
    assert (f'"{PRINCIPAL_TAG}" = "…"' in ended.stderr) == (code == "live")


def test_configured_session_tag_is_known(machine: Machine) -> None:
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, Team="ops"))
    machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG))
    machine.aws.script(KEYS, context_keys(PRINCIPAL_TAG))

    ended = machine.run("--target", TARGET, SSMGATE_CONTEXT='{"aws:principaltag/Team": "web"}')

    assert ended.returncode == 254
    assert "access denied (" in ended.stderr
    (asked,) = machine.aws.calls("SimulatePrincipalPolicy")
    assert asked.context["aws:principaltag/Team"] == ("string", ["web"])


BASE_KEYS = "aws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
OPS_PROFILE = f"[profile ops]\nrole_arn = {OPS}\nsource_profile = base\n"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        pytest.param(BASE_KEYS, 0, id="long-term keys"),
        pytest.param(
            BASE_KEYS + "aws_session_token = t\n", 254, id="session that may have transitive tags"
        ),
    ],
)
def test_role_that_ssmgate_assumed_without_tags_has_only_own_tags(
    machine: Machine, source: str, status: int
) -> None:
    """Also with credentials from the AWS CLI's cache. Others may tag sessions of this role."""
    directory = machine.home / ".aws"
    directory.mkdir()
    (directory / "config").write_text(f"[profile base]\n{source}{OPS_PROFILE}")
    machine.aws.script("AssumeRole", credentials("ASIAOPS"))
    machine.aws.script("GetCallerIdentity", OPS_SESSION)
    machine.aws.script("GetRole", role(OPS, "sts:AssumeRole", "sts:TagSession", Team="ops"))

    for assumed in (1, 1):
        machine.aws.script("SimulatePrincipalPolicy", lacking(PRINCIPAL_TAG), ALLOWED)
        machine.aws.script("ListTagsForResource", document_tags())
        ended = machine.run("--target", TARGET, "--profile", "ops")

        assert ended.returncode == status, ended.stderr
        assert ("could not check access" in ended.stderr) == (status == 254)
        assert len(machine.aws.calls("AssumeRole")) == assumed


TASK = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/shop/0f1e2d3c"
TASK_TAGS = json_ok({"tags": [{"key": "Team", "value": "ops"}]})


@pytest.mark.parametrize(
    ("missing", "read", "after", "answer", "reason"),
    [
        pytest.param(DOCUMENT_TAG, TASK_TAGS, [ALLOWED], "allowed", "", id="a tag that allows"),
        pytest.param(
            DOCUMENT_TAG, TASK_TAGS, [IMPLICIT], "denied", "no identity-based policy allows",
            id="another tag",
        ),
        pytest.param(
            DOCUMENT_TAG, NOT_LISTED, [], "unknown", "could not be read (ecs:ListTagsForResource)",
            id="tags that may not be read",
        ),
        pytest.param(
            "ssm:resourceTag/Team", TASK_TAGS, [], "unknown",
            "ssm:resourceTag/Team, which AWS does not document for this kind of target",
            id="a key that AWS does not list for tasks",
        ),
    ],
)  # fmt: skip
def test_task_is_simulated_with_its_tags(
    machine: Machine, missing: str, read: Answer, after: list[Answer], answer: str, reason: str
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", ALLOWED, lacking(missing), *after, ALLOWED)
    machine.aws.script("ListTagsForResource", read)
    machine.aws.script("GetUser", user(ALICE))

    result = report(machine, "check", "--target", "ecs:shop_0f1e2d3c_0f1e2d3c-1234")

    assert (result["document"]["answer"], result["target"]["answer"]) == ("allowed", answer)
    assert reason in result["target"]["reason"]
    (listed,) = machine.aws.calls("ListTagsForResource")
    assert listed.parameters == {"resourceArn": TASK}
    if after:
        asked = machine.aws.calls("SimulatePrincipalPolicy")[2].context
        assert asked["aws:ResourceTag/Team"] == ("string", ["ops"])
        assert "ssm:resourceTag/Team" not in asked


INSTANCES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"
DOCUMENTS = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/*"
READ = ["iam:Get*", "iam:Simulate*", "ssm:List*", "ec2:DescribeTags"]
MINE = "${aws:PrincipalTag/Team}"


def allow(*resources: str, **condition: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Effect": "Allow", "Action": "ssm:StartSession", "Resource": resources or "*",
    }  # fmt: skip
    return {**found, "Condition": condition} if condition else found


def deny(operator: str, key: str, value: str) -> tuple[dict[str, Any], dict[str, Any]]:
    condition = {operator: {key: value}}
    return allow(), {**allow(**condition), "Effect": "Deny"}


def same_tags(operator: str, key: str = DOCUMENT_TAG) -> tuple[dict[str, Any], ...]:
    return (allow(INSTANCES, DOCUMENTS, **{operator: {key: MINE}}),)


@pytest.mark.parametrize(
    ("statements", "mine", "theirs"),
    [
        pytest.param(same_tags("StringEquals"), "allowed allowed", "denied denied", id="over both"),
        pytest.param(
            same_tags("StringLike", "ssm:resourceTag/Team"), "allowed allowed", "denied denied",
            id="the older spelling",
        ),
        pytest.param(
            same_tags("ForAnyValue:StringEquals"),
            "allowed allowed",
            "denied denied",
            id="for any value",
        ),
        pytest.param(
            (allow(INSTANCES), allow(DOCUMENTS, StringEquals={DOCUMENT_TAG: MINE})),
            "allowed allowed", "denied allowed", id="documents only",
        ),
        pytest.param(
            (allow(INSTANCES, StringEquals={DOCUMENT_TAG: MINE}), allow(DOCUMENTS)),
            "allowed allowed", "allowed denied", id="instances only",
        ),
        pytest.param(
            deny("StringNotEquals", DOCUMENT_TAG, MINE), "allowed allowed", "denied denied",
            id="denied unless equal",
        ),
        pytest.param(
            deny("StringNotEqualsIfExists", "ssm:resourceTag/Team", MINE),
            "allowed allowed", "denied denied", id="denied unless equal, if it exists",
        ),
        pytest.param(
            deny("StringNotEquals", PRINCIPAL_TAG, "ops"), "allowed allowed", "denied denied",
            id="denied unless the user is tagged",
        ),
        pytest.param(
            deny("StringNotEquals", DOCUMENT_TAG, "ops"), "allowed allowed", "allowed allowed",
            id="denied unless the resource is tagged",
        ),
    ],
)  # fmt: skip
def test_gate_and_service_agree_for_tagged_user(
    sandbox: Server,
    add_user: Callable[..., Machine],
    statements: tuple[dict[str, Any], ...],
    mine: str,
    theirs: str,
) -> None:
    """Document and node are tagged Team=ops. The gate, `check` and the service agree."""
    for team, expected in (("ops", mine), ("web", theirs)):
        machine = add_user(team, statements)
        words = ("--target", "i-0aaaaaaaaaaaaaaaa", "--document-name", "Ops-Shell")

        result = report(machine, "check", *words)
        ended = machine.run(*words)

        assert f"{result['document']['answer']} {result['target']['answer']}" == expected, result
        assert (ended.returncode == 0) == (expected == "allowed allowed"), ended.stderr
        assert machine.plugin.started == (expected == "allowed allowed")
        if expected.startswith("denied"):
            assert "access denied (" in ended.stderr


def test_documents_are_simulated_with_own_tags(add_user: Callable[..., Machine]) -> None:
    machine = add_user("ops", same_tags("StringEquals"))

    result = report(machine, "documents", "--target", "i-0aaaaaaaaaaaaaaaa")

    answers = {entry["name"]: entry["answer"] for entry in result["documents"]}
    assert {answers[name] for name in ("Bare-Shell", "Dev-Shell", "AWS-StartSSHSession")} == {
        "denied"
    }
    assert answers["Ops-Shell"] == "allowed"
    # The account's own and AWS's, each again with tags, equal ones in one call; then the target,
    # with the document access key true, again with tags, absent, and false.
    assert len(machine.aws.of("iam:SimulatePrincipalPolicy")) == 2 + 2 + 1 + 4
    assert len(machine.aws.of("iam:GetUser")) == 2
    assert result["target"]["answer"] == "allowed"


def test_warns_where_tag_condition_leaves_check_unenforced(
    add_user: Callable[..., Machine],
) -> None:
    """With the key false the target is allowed too, once its tags are known."""
    checked = allow(INSTANCES, DOCUMENTS, Bool={"ssm:SessionDocumentAccessCheck": "true"})
    machine = add_user("ops", (checked, *same_tags("StringEquals")))

    result = report(machine, "check", "--target", "i-0aaaaaaaaaaaaaaaa")

    assert (result["answer"], result["target"]["enforced"]) == ("allowed", False)


@pytest.mark.parametrize(("team", "answer"), [("ops", "allowed"), ("web", "denied")])
def test_data_channel_is_simulated_with_tags_of_caller(
    add_user: Callable[..., Machine], team: str, answer: str
) -> None:
    channel = allow(StringEquals={PRINCIPAL_TAG: "ops"}) | {"Action": "ssmmessages:OpenDataChannel"}
    machine = add_user(team, (allow(), channel))

    result = report(machine, "check", "--target", "i-0aaaaaaaaaaaaaaaa")

    assert (result["answer"], result["data_channel"]["answer"]) == ("allowed", answer)


def test_names_right_key_for_key_that_no_session_has(add_user: Callable[..., Machine]) -> None:
    wrong = allow(INSTANCES, StringEquals={"ec2:ResourceTag/Team": "ops"})
    machine = add_user("ops", (wrong, allow(DOCUMENTS)), [*READ, "iam:List*"])

    result = report(machine, "check", "--target", "i-0aaaaaaaaaaaaaaaa")

    assert (result["document"]["answer"], result["target"]["answer"]) == ("allowed", "denied")
    (advice,) = [text for text in result["target"]["advice"] if "no condition key" in text]
    assert "write aws:ResourceTag/Team in place of ec2:ResourceTag/Team" in advice


@pytest.mark.parametrize(("name", "noted"), [("SessionUser", True), ("alice", False)])
def test_says_that_session_policies_are_not_simulated(
    sandbox: Server, tmp_path: Path, name: str, noted: bool
) -> None:
    result = report(make_resident(sandbox, name, tmp_path), "check", "--target", NODE)

    assert result["answer"] == "allowed"
    assert any("session policy" in note for note in result["notes"]) is noted


def test_documents_with_unreadable_tags_are_unknown(
    add_user: Callable[..., Machine],
) -> None:
    machine = add_user("ops", same_tags("StringEquals"), read=["iam:*", "ssm:ListDocuments"])

    result = report(machine, "documents")

    answers = {entry["name"]: entry["answer"] for entry in result["documents"]}
    assert answers["Ops-Shell"] == answers["Bare-Shell"] == "unknown"
    assert answers["AWS-StartSSHSession"] == "denied"


def report(machine: Machine, *words: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "ssmgate", *words, "--output", "json"],
        env=machine.variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, cwd=machine.home, check=False,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.fixture
def add_user(
    sandbox: Server, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[..., Machine]:
    """Make a user with its own tag and statements, and the machine of that user."""

    def make(team: str, statements: Any, read: list[str] = READ) -> Machine:
        directory = tmp_path_factory.mktemp("user")
        name = directory.name
        tag = {"Tags.member.1.Key": "Team", "Tags.member.1.Value": team}
        sandbox.query(OWNER, "iam", "CreateUser", UserName=name, **tag)
        reads = {"Effect": "Allow", "Action": read, "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [*statements, reads]}
        sandbox.query(
            OWNER, "iam", "PutUserPolicy", UserName=name, PolicyName="Sessions",
            PolicyDocument=json.dumps(policy),
        )  # fmt: skip
        made = sandbox.query(OWNER, "iam", "CreateAccessKey", UserName=name)
        sandbox.principals[name] = {
            "access_key_id": text_of(made, "AccessKeyId"),
            "secret_access_key": "secret-of-example",
            "session_token": None,
        }
        request.addfinalizer(lambda: sandbox.principals.pop(name))
        return make_resident(sandbox, name, directory)

    return make
