"""`ssmgate policy print`: policies that are proved, and used in the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import make_resident
from fakes.sandbox import ACCOUNT, NODE, OWNER, Server, text
from plugins import ways
from ssmgate.commands.policy_print import _NAMES
from ssmgate.policy_language import parse_policy
from ssmgate.policy_tools.finding_rules import CHECKS
from ssmgate.policy_tools.findings import find
from ssmgate.policy_tools.personas import PERSONAS, Persona, Place, policy

CHECK = "ssm:SessionDocumentAccessCheck"
PLACE = Place("aws", "us-east-1", ACCOUNT, role="session-alice")


def printed(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["-P", "-m", "ssmgate", "policy", "print", *words]
    return ways.python(command, env={**os.environ, "HOME": str(directory)}, cwd=directory)


def test_help_names_all_personas() -> None:
    assert list(PERSONAS) == _NAMES


@pytest.mark.parametrize("name", PERSONAS)
def test_printed_policy_has_no_finding(name: str) -> None:
    document = json.dumps(policy(PERSONAS[name], PLACE))
    assert [one.message for one in find(parse_policy(document), CHECKS)] == []


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "any document": lambda one: one.update(Resource="*"),
    "without the check": lambda one: one.pop("Condition"),
    "another action": lambda one: one.update(Action=["ssm:StartSession", "ssm:SendCommand"]),
    "no node": lambda one: one["Resource"].pop(),
    "no document": lambda one: one["Resource"].pop(0),
}


@pytest.mark.parametrize("case", WRONG)
def test_does_not_print_wrong_policy(case: str) -> None:
    right = PERSONAS["shell-user"]

    def wrong(place: Place) -> list[dict[str, Any]]:
        statements = right.statements(place)
        WRONG[case](statements[0])
        return statements

    with pytest.raises(ValueError, match="shell-user"):
        policy(Persona("shell-user", "", wrong, right.documents), PLACE)


WRONG_STATEMENTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "break-glass without managed nodes": ("break-glass", 0, {"Resource": [PLACE.nodes]}),
    "a bastion user simulates others": ("bastion-person", 4, {"Resource": "*"}),
    "a bastion user without a menu": ("bastion-person", 3, {"Action": "ssm:ListDocuments"}),
    "a bastion user sends commands": ("bastion-person", 3, {"Action": "ssm:*"}),
}


@pytest.mark.parametrize("case", WRONG_STATEMENTS)
def test_does_not_print_wrong_statement(case: str) -> None:
    name, number, change = WRONG_STATEMENTS[case]
    right = PERSONAS[name]

    def wrong(place: Place) -> list[dict[str, Any]]:
        statements = right.statements(place)
        statements[number].update(change)
        return statements

    with pytest.raises(ValueError, match=name):
        policy(Persona(name, "", wrong, right.documents), PLACE)


def test_prints_json_and_terraform(tmp_path: Path) -> None:
    words = ("shell-user", "--account", ACCOUNT, "--region", "us-east-1")
    as_json = printed(tmp_path, *words, "--document-name", "Team")
    document = json.loads(as_json.stdout)
    assert f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Team" in document["Statement"][0]["Resource"]
    as_terraform = printed(tmp_path, *words, "--format", "terraform").stdout
    assert as_terraform.startswith('resource "aws_iam_policy" "shell_user" {\n')
    assert "$${aws:userid}" in as_terraform


@pytest.mark.parametrize(
    "words",
    [
        ["shell-user", "--account", "1", "--region", "us-east-1"],
        ["shell-user", "--account", ACCOUNT, "--region", "*"],
        ["bastion-person", "--account", ACCOUNT, "--region", "us-east-1"],
        ["bastion-person", "--account", ACCOUNT, "--region", "us-east-1", "--role", "*"],
        ["shell-user", "--account", ACCOUNT, "--region", "us-east-1", "--role", "a"],
        ["no-persona", "--account", ACCOUNT, "--region", "us-east-1"],
        ["shell-user", "--account", ACCOUNT, "--region", "r", "--document-name", "a b"],
    ],
)
def test_bad_command_line_exits_252(words: list[str], tmp_path: Path) -> None:
    assert printed(tmp_path, *words).returncode == 252


def test_prints_service_control_policy(tmp_path: Path) -> None:
    words = ("check-scp", "--account", ACCOUNT, "--region", "us-east-1")
    (one,) = json.loads(printed(tmp_path, *words).stdout)["Statement"]
    assert (one["Effect"], one["Action"]) == ("Deny", "ssm:StartSession")
    as_terraform = printed(tmp_path, *words, "--format", "terraform").stdout
    assert as_terraform.startswith('resource "aws_organizations_policy" "check_scp" {\n')
    assert '  type    = "SERVICE_CONTROL_POLICY"\n' in as_terraform


WRONG_SCP: dict[str, Callable[[dict[str, Any]], object]] = {
    "all sessions": lambda one: one.pop("Condition"),
    "no node of EC2": lambda one: one["Resource"].pop(0),
    "no task": lambda one: one["Resource"].pop(),
    "documents too": lambda one: one.update(Resource="*", Condition={"Null": {CHECK: "false"}}),
    "where the key is absent": lambda one: one.update(Condition={"BoolIfExists": {CHECK: "false"}}),
}


@pytest.mark.parametrize("case", WRONG_SCP)
def test_does_not_print_wrong_service_control_policy(case: str) -> None:
    right = PERSONAS["check-scp"]

    def wrong(place: Place) -> list[dict[str, Any]]:
        statements = right.statements(place)
        WRONG_SCP[case](statements[0])
        return statements

    with pytest.raises(ValueError, match="check-scp"):
        policy(Persona("check-scp", "", wrong, service_control=True), PLACE)


ATTEMPTS = {
    "shell-user": ((), ("--document-name", "AWS-StartSSHSession")),
    "ssh-user": (("--document-name", "AWS-StartSSHSession"), ()),
    "port-forward": (("--document-name", "AWS-StartPortForwardingSession"), ()),
    "break-glass": (
        ("--document-name", "AWS-StartSSHSession"),
        ("--document-name", "AWS-StartPortForwardingSessionToRemoteHost"),
    ),
    "bastion-person": ((), ("--document-name", "AWS-StartSSHSession")),
}


@pytest.mark.starts
@pytest.mark.parametrize("name", ATTEMPTS)
def test_policy_allows_only_sessions_of_persona(name: str, sandbox: Server, tmp_path: Path) -> None:
    own, other = ATTEMPTS[name]
    asks = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
    document = policy(PERSONAS[name], PLACE)
    document["Statement"].append(asks)
    user = f"{name}-{tmp_path.name}"
    sandbox.query(OWNER, "iam", "CreateUser", UserName=user)
    sandbox.query(
        OWNER, "iam", "PutUserPolicy", UserName=user, PolicyName="Sessions",
        PolicyDocument=json.dumps(document),
    )  # fmt: skip
    made = sandbox.query(OWNER, "iam", "CreateAccessKey", UserName=user)
    sandbox.principals[user] = {
        "access_key_id": text(made, "AccessKeyId"),
        "secret_access_key": "secret-of-example",
        "session_token": None,
    }
    try:
        machine = make_resident(sandbox, user, tmp_path)
        denied = machine.run("--target", NODE, *other)
        assert denied.returncode == 254
        assert not machine.plugin.started
        started = machine.run("--target", NODE, *own)
        assert started.returncode == 0, started.stderr
        assert machine.plugin.started
    finally:
        sandbox.principals.pop(user)
