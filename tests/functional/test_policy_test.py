"""`ssmgate policy test`: an author's file of sessions and answers."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from plugins import ways
from unit.policy_tools.accounts import ACCOUNT, document, statement

HERE = f"arn:aws:ssm:us-east-1:{ACCOUNT}"
NODES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"
CHECKED = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
OPS = document(
    statement(resource=[f"{HERE}:document/SSM-SessionManagerRunShell", NODES], condition=CHECKED)
)
MFA = document(statement(condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
TOP = f'policies = ["ops.json"]\ncaller = "arn:aws:iam::{ACCOUNT}:role/Ops"\n'


@pytest.fixture(autouse=True)
def policies(tmp_path: Path) -> None:
    (tmp_path / "ops.json").write_text(json.dumps(OPS))
    (tmp_path / "mfa.json").write_text(json.dumps(MFA))
    (tmp_path / "none.json").write_text(json.dumps(document(statement(action="ec2:*"))))


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))}
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = ["-P", "-m", "ssmgate", "policy", "test", *words]
    return ways.python(command, env=own | nowhere | {"HOME": str(directory)}, cwd=directory)


CASES = {
    "default": ("", "allowed"),
    "named": ('document = "AWS-StartSSHSession"', "denied"),
    "MFA": ('policies = ["mfa.json"]', "unknown"),
    "MFA given": (
        'policies = ["mfa.json"]\ncontext = {"aws:MultiFactorAuthPresent" = true}',
        "allowed",
    ),
    "boundary": ('boundary = "none.json"', "denied"),
    "service control policy": ('scp = [["mfa.json", "ops.json"], ["none.json"]]', "denied"),
    "another region": ('region = "eu-west-1"', "denied"),
}


@pytest.mark.parametrize("case", CASES)
def test_case_with_right_answer_passes(case: str, tmp_path: Path) -> None:
    table, answer = CASES[case]
    text = f'{TOP}[[case]]\nname = "it"\n{table}\nexpect = "{answer}"\n'
    (tmp_path / "cases.toml").write_text(text)
    ended = run(tmp_path, "cases.toml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"ok    it: {answer}\n1 case, 0 failed\n"


WEAK = document(statement())
NO_CHECK = {"Bool": {"ssm:SessionDocumentAccessCheck": "false"}}
CHANNEL = "ssmmessages:OpenDataChannel"
BINDING = {
    "condition": (OPS, "unbound = false", "allowed, bound"),
    "no condition": (WEAK, "unbound = true", "allowed, unbound"),
    "MFA": (MFA, 'unbound = "unknown"', "unknown, unknown whether bound"),
    "MFA given": (
        MFA,
        'unbound = true\ncontext = {"aws:MultiFactorAuthPresent" = true}',
        "allowed, unbound",
    ),
    "key given": (
        OPS,
        'unbound = false\ncontext = {"ssm:SessionDocumentAccessCheck" = true}',
        "allowed, bound",
    ),
    # Whether the target is allowed with the key true does not matter.
    "unchecked only": (
        document(statement(condition=NO_CHECK)), "unbound = true", "denied, unbound",
    ),
    "service control policy": (WEAK, 'unbound = false\nscp = [["none.json"]]', "denied, bound"),
    "data channel": (
        document(statement(action=["ssm:StartSession", CHANNEL])),
        'data_channel = "allowed"',
        "allowed, data channel allowed",
    ),
    "no data channel": (
        OPS, 'unbound = false\ndata_channel = "denied"', "allowed, bound, data channel denied",
    ),
    "data channel of own sessions": (
        document(statement(), statement(action=CHANNEL, resource=f"{HERE}:session/*")),
        'data_channel = "unknown"',
        "allowed, data channel unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BINDING)
def test_binding_and_data_channel_are_compared(case: str, tmp_path: Path) -> None:
    policy, table, answers = BINDING[case]
    (tmp_path / "ops.json").write_text(json.dumps(policy))
    expect = answers.partition(",")[0]
    text = f'{TOP}[[case]]\nname = "it"\n{table}\nexpect = "{expect}"\n'
    (tmp_path / "cases.toml").write_text(text)
    ended = run(tmp_path, "cases.toml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"ok    it: {answers}\n1 case, 0 failed\n"


def test_unbound_caller_fails_and_names_allowing_policy(tmp_path: Path) -> None:
    (tmp_path / "ops.json").write_text(json.dumps(WEAK))
    top = f'unbound = false\ndata_channel = "allowed"\n{TOP}'
    (tmp_path / "cases.toml").write_text(f'{top}[[case]]\nname = "it"\nexpect = "allowed"\n')
    ended = run(tmp_path, "cases.toml", "--junit", "out.xml")
    assert ended.returncode == 3
    why = "target without a document check: allowed by ops.json; data channel: no "
    message = "unbound, expected bound; data channel denied, expected data channel allowed"
    assert ended.stdout.startswith(f"FAIL  it: {message}\n      {why}")
    failure = ET.parse(tmp_path / "out.xml").getroot().find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == message
    assert (failure.text or "").startswith(why)


FAILING = f"""{TOP}
[[case]]
name = "right"
expect = "allowed"
[[case]]
name = "wrong <&>"
document = "AWS-StartSSHSession"
expect = "allowed"
"""


def test_explains_failure_and_writes_junit(tmp_path: Path) -> None:
    (tmp_path / "cases.toml").write_text(FAILING)
    ended = run(tmp_path, "cases.toml", "--junit", "out.xml")
    assert ended.returncode == 3
    assert "FAIL  wrong <&>: denied, expected allowed\n      document: " in ended.stdout
    suite = ET.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    names = [(one.get("name"), one.find("failure") is not None) for one in suite]
    assert names == [("right", False), ("wrong <&>", True)]


def test_written_cases_pass_until_policy_changes(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    written = run(tmp_path, "tests/cases.toml", "ops.json", "--write")
    assert (written.returncode, written.stderr) == (0, "")
    table = tomllib.loads((tmp_path / "tests" / "cases.toml").read_text())
    assert table["policies"] == ["../ops.json"]
    assert f":{ACCOUNT}:" in table["caller"]
    assert (table["unbound"], table["data_channel"]) == (False, "denied")
    answers = {one["name"]: one["expect"] for one in table["case"]}
    assert answers["the default document"] == "allowed"
    assert answers["a document that no policy names"] == "denied"
    assert run(tmp_path, "tests/cases.toml").returncode == 0
    (tmp_path / "ops.json").write_text(json.dumps(document(statement())))
    assert run(tmp_path, "tests/cases.toml").returncode == 3
    again = run(tmp_path, "tests/cases.toml", "ops.json", "--write")
    assert again.returncode == 252
    assert "tests/cases.toml: cannot be written: File exists" in again.stderr


def test_writes_cases_for_region_of_policies(tmp_path: Path) -> None:
    there = json.dumps(OPS).replace("us-east-1", "eu-west-1")
    (tmp_path / "ops.json").write_text(there)
    assert run(tmp_path, "cases.toml", "ops.json", "--write").returncode == 0
    table = tomllib.loads((tmp_path / "cases.toml").read_text())
    assert table["region"] == "eu-west-1"
    assert table["case"][0]["expect"] == "allowed"


BAD = {
    "no file": (None, "cases.toml: cannot be read"),
    "not TOML": ("[[", "cases.toml: is not TOML"),
    "no case": (TOP, "cases.toml: has no [[case]]"),
    "unknown key": (f"{TOP}[[case]]\nexpected = 'denied'\n", "case[0]: unknown key 'expected'"),
    "no answer": (f"{TOP}[[case]]\n", "case[0]: expect must be one of"),
    "not whether unbound": (
        f"{TOP}[[case]]\nexpect = 'denied'\nunbound = 'no'\n",
        "case[0]: unbound must be true",
    ),
    "a number": (f"{TOP}[[case]]\nexpect = 'denied'\nunbound = 1\n", "case[0]: unbound must be"),
    "no data channel": (
        f"{TOP}data_channel = []\n[[case]]\nexpect = 'denied'\n",
        "case[0]: data_channel must be one of",
    ),
    "cases of another type": ("case = 5\n", "cases.toml: has no [[case]]"),
    "context that is no value": (
        f"{TOP}[[case]]\nexpect = 'denied'\ncontext = {{'aws:a' = {{b = 1}}}}\n",
        "case[0].context.aws:a: must be a string, a number, a boolean or a list of them",
    ),
    "context with a bad key": (
        f"{TOP}[[case]]\nexpect = 'denied'\ncontext = {{a = 'b'}}\n",
        "case[0].context: 'a' is not a condition key",
    ),
    "no caller": (
        "policies = ['ops.json']\n[[case]]\nexpect = 'denied'\n",
        "case[0].caller: must be a string",
    ),
    "root": (
        f"{TOP}[[case]]\ncaller = 'arn:aws:iam::1:root'\nexpect = 'denied'\n",
        "case[0]: must be the ARN of an IAM user",
    ),
    "bad document": (f"{TOP}[[case]]\ndocument = 'a b'\nexpect = 'denied'\n", "case[0]: "),
    "no policy": (f"{TOP}[[case]]\npolicies = ['x.json']\nexpect = 'denied'\n", "policy x.json: "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_exits_252(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    if text is not None:
        (tmp_path / "cases.toml").write_text(text)
    ended = run(tmp_path, "cases.toml")
    assert ended.returncode == 252
    assert message in ended.stderr
