"""`ssmgate policy audit`: from files to a report, without AWS and without a network."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from plugins import ways
from unit.policy_tools.accounts import ACCOUNT, answer, managed, principal, statement

SCHEMA = json.loads(
    resources.files("ssmgate.policy_tools").joinpath("audit-schema.json").read_text()
)
OTHER = "444455556666"
NODES = "arn:aws:ec2:*:*:instance/*"
TEAM = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Team"
CHECKED = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
ADMIN = managed("Admin", statement(action="*"))
USERS = [
    principal("user", "ann", attached=[ADMIN["Arn"]]),
    principal("user", "bob", attached=[ADMIN["Arn"]]),
    principal("user", "cyd", statement(resource=[TEAM, NODES], condition=CHECKED)),
    principal("user", "dan", statement(condition={"StringEquals": {"ssm:resourceTag/env": "dev"}})),
    principal("user", "eve", statement(), statement("Deny", "*")),
    principal("user", "fay", statement(action="s3:*")),
]
ONE = answer(USERS, policies=[ADMIN])
TWO = answer([principal("user", "gus", statement(), account=OTHER)])
SUMMARY = {
    "accounts": 2, "principals": 7, "allowed_any": 3, "unbound": 3, "denied": 1, "none": 1,
    "unknown": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def accounts(tmp_path: Path) -> Path:
    directory = tmp_path / "accounts"
    directory.mkdir()
    (directory / "1.json").write_text(json.dumps(ONE))
    (directory / "2.json.gz").write_bytes(gzip.compress(json.dumps(TWO).encode()))
    return directory


def audit(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))}
    # No server listens there: each request fails.
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environ = own | nowhere | {"HOME": str(tmp_path), "LANG": "C.UTF-8"}
    command = ["-P", "-m", "ssmgate", "policy", "audit", "--from", "accounts", *words]
    return ways.python(command, env=environ, cwd=tmp_path)


def report(tmp_path: Path, *words: str, code: int = 0) -> dict[str, Any]:
    ended = audit(tmp_path, "--output", "json", *words)
    assert ended.returncode == code, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


def test_table_shows_who_may_start_what(tmp_path: Path) -> None:
    ended = audit(tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        f"account {ACCOUNT}\n"
        "  user/ann and 1 more: may start any document\n"
        "      unbound: allowed without a document check by Admin statement 1\n"
        "  user/cyd: may start Team\n"
        '  user/dan: allowed if ssm:resourceTag/env is "dev"\n'
        "      unknown whether AWS has to check the document\n"
        "  user/eve: explicitly denied\n"
        "\n"
        f"account {OTHER}\n"
        "  user/gus: may start any document\n"
        "      unbound: allowed without a document check by gus/own statement 1\n"
        "\n"
        "accounts 2, principals 7\n"
        "  may start any document 3, unbound 3, explicitly denied 1, nothing granted 1, unknown 1\n"
    )


def test_json_groups_principals_and_matches_schema(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert found["summary"] == SUMMARY
    assert found["complete"]
    first = found["accounts"][0]["groups"][0]
    assert [arn.rpartition("/")[2] for arn in first["principals"]] == ["ann", "bob"]
    assert first["unbound_by"] == ["Admin statement 1"]


def test_ndjson_has_line_for_each_principal_and_document(tmp_path: Path) -> None:
    ended = audit(tmp_path, "--output", "ndjson")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    pairs = {(line["principal"], line["document"]) for line in lines}
    assert len(pairs) == len(lines)
    assert {arn.rpartition("/")[2] for arn, _ in pairs} == {
        "ann", "bob", "cyd", "dan", "eve", "fay", "gus",
    }  # fmt: skip
    (dan,) = [x for x in lines if x["principal"].endswith("dan") and x["document"] == "*"]
    assert dan == {
        "account": ACCOUNT,
        "region": "us-east-1",
        "principal": f"arn:aws:iam::{ACCOUNT}:user/dan",
        "type": "user",
        "missing": [],
        "document": "*",
        "answer": "unknown",
        "explicit": False,
        "condition": 'ssm:resourceTag/env is "dev"',
        "bound": "unknown",
        "findings": [],
    }


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "sarif"])
def test_same_input_gives_same_output(output: str, tmp_path: Path) -> None:
    runs = {audit(tmp_path, "--output", output).stdout for _ in range(2)}
    assert len(runs) == 1


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "sarif"])
def test_redacted_report_has_no_name(output: str, tmp_path: Path) -> None:
    text = audit(tmp_path, "--output", output, "--redact").stdout
    for name in (ACCOUNT, OTHER, "ann", "gus", "Team", "Admin"):
        assert not re.search(rf"\b{name}\b", text)
    assert "user-1" in text


WHO = {
    "any node": (["--document-name", "Team"], ["ann", "bob", "cyd", "dan", "gus"]),
    "a node": (
        ["--document-name", "Team", "--target", "i-0123456789abcdef0"],
        ["ann", "bob", "cyd", "dan", "gus"],
    ),
    "a node with a tag": (
        ["--document-name", "Team", "--tag", "env=prod"],
        ["ann", "bob", "cyd", "gus"],
    ),
    "a document that few may use": (
        ["--document-name", "AWS-StartSSHSession"],
        # Documents of AWS have no tags.
        ["ann", "bob", "gus"],
    ),
}


@pytest.mark.parametrize("case", WHO)
def test_who_lists_principals_that_may_start_document(case: str, tmp_path: Path) -> None:
    words, expected = WHO[case]
    found = report(tmp_path, "--who", *words)
    names = [
        arn.rpartition("/")[2]
        for account in found["accounts"]
        for group in account["groups"]
        for arn in group["principals"]
    ]
    assert names == expected


def test_who_names_allowing_statement(tmp_path: Path) -> None:
    text = audit(tmp_path, "--who", "--document-name", "Team").stdout
    assert "  user/cyd: allowed\n      by cyd/own statement 1\n" in text


def test_what_lists_documents_that_principal_may_start(tmp_path: Path) -> None:
    text = audit(tmp_path, "--what", f"arn:aws:iam::{ACCOUNT}:user/cyd").stdout
    assert "      Team: allowed\n" in text
    assert "      any other document: denied\n" in text
    assert "user/ann" not in text


def test_unbound_lists_unbound_principals(tmp_path: Path) -> None:
    found = report(tmp_path, "--unbound")
    groups = [group for account in found["accounts"] for group in account["groups"]]
    assert [group["bound"] for group in groups] == ["unbound", "unknown", "unbound"]
    assert found["summary"] == SUMMARY


RULES = {
    "holds": ('only = ["*/ann", "*/bob", "*/gus", "*/dan"]', 0, []),
    "broken": ('only = ["*/ann"]', 3, [("bob", True), ("dan", False), ("gus", True)]),
    "unknown": ('only = ["*/ann", "*/bob", "*/gus"]', 4, [("dan", False)]),
    "must": ('document = "Team"\nmust = ["*/cyd"]', 0, []),
    "must, and may not": ('document = "Team"\nmust = ["*/fay"]', 3, [("fay", True)]),
    "unbound": ('unbound = ["*/gus", "*/ann"]', 3, [("bob", True), ("dan", False)]),
}


@pytest.mark.parametrize("case", RULES)
def test_assert_reports_broken_rules(case: str, tmp_path: Path) -> None:
    text, code, expected = RULES[case]
    (tmp_path / "rules.toml").write_text(f"[[rule]]\nname = 'r'\n{text}\n")
    found = report(tmp_path, "--assert", "rules.toml", code=code)
    broken = [(v["principal"].rpartition("/")[2], v["certain"]) for v in found["violations"]]
    assert broken == expected


@pytest.mark.parametrize("output", ["table", "json"])
def test_redacted_violation_has_no_name(output: str, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(
        "[[rule]]\nname = 'r'\ndocument = 'Team'\nmust = ['*/fay']\n"
    )
    text = audit(tmp_path, "--output", output, "--redact", "--assert", "rules.toml").stdout
    assert "may not start document-" in text
    assert not re.search(r"\bfay\b|\bTeam\b", text)


def test_rule_about_missing_principal_is_broken(tmp_path: Path) -> None:
    rule = '[[rule]]\nname = "r"\ndocument = "Team"\nmust = ["*/cyd", "*/zoe"]\n'
    (tmp_path / "rules.toml").write_text(rule)
    (one,) = report(tmp_path, "--assert", "rules.toml", code=3)["violations"]
    assert (one["principal"], one["message"]) == ("*/zoe", "matches no user or role")
    # She may be in a file that could not be read.
    (tmp_path / "accounts" / "0.json").write_text("{")
    (one,) = report(tmp_path, "--assert", "rules.toml", code=4)["violations"]
    assert one["certain"] is False


@pytest.mark.parametrize("arn", [f"arn:aws:iam::{ACCOUNT}:user/zoe", "ann"])
def test_what_reports_unknown_principal(arn: str, tmp_path: Path) -> None:
    ended = audit(tmp_path, "--what", arn)
    assert ended.returncode == 4
    assert f"ssmgate: [ERROR]: {arn} is not a user or role of the input\n" in ended.stderr


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "sarif"])
def test_redacted_report_has_no_name_of_group_or_missing_policy(
    output: str, tmp_path: Path
) -> None:
    broken = {"Effect": "Maybe", "Action": "*", "Resource": "*"}
    users = [
        principal("user", "ann", GroupList=["zebra-here", "zebra-gone"]),
        principal("user", "bob", broken),
    ]
    users[1]["UserPolicyList"][0]["PolicyName"] = "zebra-inline"
    users[1]["PermissionsBoundary"] = {"PermissionsBoundaryArn": "arn:aws:iam::1:policy/zebra-b"}
    whole = answer(users, [principal("group", "zebra-here", statement())])
    (tmp_path / "accounts" / "1.json").write_text(json.dumps(whole))
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "not bob"\nonly = []\n')
    words = ["--redact", "--output", output, "--assert", "rules.toml"]
    ended = audit(tmp_path, *words)
    assert ended.returncode == 3
    assert not re.search(r"zebra|\bann\b|\bbob\b", ended.stdout + ended.stderr)


def test_reads_documents_and_nodes_from_files(tmp_path: Path) -> None:
    names = [
        {"Name": "Team", "DocumentType": "Session"},
        {"Name": "Run", "DocumentType": "Command"},
    ]
    (tmp_path / "documents").write_text(json.dumps({"DocumentIdentifiers": names}))
    nodes = {"InstanceInformationList": [{"InstanceId": "mi-0123456789abcdef0"}]}
    (tmp_path / "nodes").write_text(json.dumps(nodes))
    found = report(tmp_path, "--documents", "documents", "--nodes", "nodes")
    groups = found["accounts"][0]["groups"]
    assert [d["document"] for d in groups[0]["documents"]] == ["Team", "*"]
    # cyd may use EC2 instances only.
    assert groups[1]["status"] == "none"


RUN_AS = {
    "Name": "Team",
    "DocumentType": "Session",
    "Content": json.dumps({"inputs": {"runAsEnabled": True}}),
}
DEFAULT = {
    "Name": "SSM-SessionManagerRunShell",
    "DocumentType": "Session",
    "Content": json.dumps({"inputs": {"s3BucketName": "logs"}}),
}


def contents(tmp_path: Path) -> list[str]:
    (tmp_path / "run-as.json").write_text(json.dumps(RUN_AS))
    (tmp_path / "default.json").write_text(json.dumps(DEFAULT))
    return ["--document-content", "run-as.json", "--document-content", "default.json"]


def test_content_of_documents_gives_findings(tmp_path: Path) -> None:
    words = contents(tmp_path)
    found = report(tmp_path, *words)["findings"]
    assert [(one["code"], one["about"].rpartition("/")[2]) for one in found] == [
        ("SG014", "SSM-SessionManagerRunShell"),
        ("SG003", "ann and 1 more"),
        ("SG003", "gus"),
    ]
    assert "beside Team: ssh logs in as any user" in found[1]["message"]
    text = audit(tmp_path, *words).stdout
    assert "SG014 medium: SSM-SessionManagerRunShell: SSM-SessionManagerRunShell does not" in text
    assert text.count("see docs/reference/findings/SG003.md\n") == 1
    assert report(tmp_path)["findings"] == []


def test_ndjson_line_has_findings_about_its_document(tmp_path: Path) -> None:
    names = {"DocumentIdentifiers": [{"Name": "Other", "DocumentType": "Session"}]}
    (tmp_path / "documents").write_text(json.dumps(names))
    words = [*contents(tmp_path), "--documents", "documents", "--output", "ndjson"]
    lines = [json.loads(text) for text in audit(tmp_path, *words).stdout.splitlines()]
    found = {
        (line["principal"].rpartition("/")[2], line["document"]): line["findings"]
        for line in lines
        if line["findings"]
    }
    everyone = ["ann", "bob", "cyd", "dan", "eve", "fay", "gus"]
    expected = {(name, "SSM-SessionManagerRunShell"): ["SG014"] for name in everyone}
    # Only they may use SSH and Team, which has run-as.
    assert found == expected | {
        (name, "AWS-StartSSHSession"): ["SG003"] for name in ("ann", "bob", "gus")
    }
    assert {tuple(line) for line in lines} == {tuple(lines[0])}


def sarif(tmp_path: Path, *words: str, code: int = 0) -> dict[str, Any]:
    ended = audit(tmp_path, "--output", "sarif", *words)
    assert ended.returncode == code, ended.stderr
    found = json.loads(ended.stdout)
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        (location,) = result["locations"]
        # The place in an account is not known by lines, of which GitHub requires one.
        assert location["physicalLocation"]["region"] == {"startLine": 1}
    prints = [result["partialFingerprints"]["ssmgate/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    return dict(run)


def test_sarif_has_findings_about_principals_policies_and_documents(tmp_path: Path) -> None:
    run = sarif(tmp_path, *contents(tmp_path))
    found = {
        (
            result["ruleId"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["message"]["text"].partition(": ")[0].rpartition("/")[2],
        )
        for result in run["results"]
    }
    assert {
        ("SG001", "accounts/1.json", "ann and 1 more"),
        ("SG001", "accounts/1.json", "dan"),
        ("SG001", "accounts/2.json.gz", "gus"),
        ("SG002", "accounts/1.json", "ann and 1 more"),
        ("SG003", "accounts/2.json.gz", "gus"),
        ("SG007", "accounts/1.json", "Admin"),
        ("SG008", "accounts/1.json", "Admin"),
        ("SG014", "default.json", "SSM-SessionManagerRunShell"),
    } <= found
    # The one is denied, and the other is bound.
    assert not {name for code, _, name in found if code in ("SG001", "SG002")} & {"eve", "cyd"}
    # Administrators have the data channel, by a statement that is not about sessions.
    assert ("SG015", "accounts/1.json", "Admin") not in found


def test_sarif_marks_input_that_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "accounts" / "0.json").write_text("{")
    (invocation,) = sarif(tmp_path, code=4)["invocations"]
    assert invocation["executionSuccessful"] is False
    (notice,) = invocation["toolExecutionNotifications"]
    assert notice["message"]["text"].startswith("accounts/0.json: line 1")


def test_organization_limits_its_accounts(tmp_path: Path) -> None:
    (tmp_path / "deny.json").write_text(
        json.dumps({"Version": "2012-10-17", "Statement": statement("Deny", "ssm:*")})
    )
    (tmp_path / "org.toml").write_text(
        f'[[level]]\npolicies = ["deny.json"]\naccounts = ["{OTHER}"]\n'
    )
    found = report(tmp_path, "--organization", "org.toml")
    statuses = [group["status"] for group in found["accounts"][1]["groups"]]
    assert statuses == ["denied"]
    assert found["accounts"][0]["groups"][0]["status"] == "allowed"


def test_bad_file_makes_report_incomplete(tmp_path: Path) -> None:
    (tmp_path / "accounts" / "0.json").write_text('{"UserDetailList": [')
    found = report(tmp_path, code=4)
    assert found["summary"] == SUMMARY
    assert not found["complete"]
    (problem,) = found["problems"]
    assert problem["file"] == "accounts/0.json"
    assert problem["place"] == "line 1, column 21"
    ended = audit(tmp_path)
    assert "ssmgate: [ERROR]: accounts/0.json: line 1, column 21: is not JSON" in ended.stderr


def test_missing_policy_is_named_and_makes_answer_unknown(tmp_path: Path) -> None:
    aws = "arn:aws:iam::aws:policy/AdministratorAccess"
    users = [principal("user", "ann", attached=[aws])]
    (tmp_path / "accounts" / "1.json").write_text(json.dumps(answer(users)))
    ended = audit(tmp_path)
    assert "  user/ann: unknown\n" in ended.stdout
    assert f"      not in the input: {aws}\n" in ended.stdout


def test_escapes_hostile_names(tmp_path: Path) -> None:
    name = "\x1b[31mann\u202e\n"
    (tmp_path / "accounts" / "1.json").write_text(
        json.dumps(answer([principal("user", name, statement())]))
    )
    for output in ("table", "json", "ndjson", "sarif"):
        text = audit(tmp_path, "--output", output).stdout
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "user/\\x1b[31mann\\u202e\\n: may" in audit(tmp_path).stdout


BAD = {
    "who without a document": (["--who"], "--document-name"),
    "tag without a value": (["--who", "--document-name", "a", "--tag", "x"], "--tag 'x'"),
    "bad document": (["--who", "--document-name", "a b"], "'a b' is not the name of a session"),
    "document that may be one of two": (
        ["--who", "--document-name", "aws-startsshsession"],
        "give it as AWS spells it",
    ),
    "bad target": (["--who", "--document-name", "abc", "--target", "x"], "'x' is not the ID"),
    "no rules": (["--assert", "none.toml"], "none.toml: cannot be read"),
    "findings of some": (["--output", "sarif", "--unbound"], "omit --who"),
    "no content": (["--document-content", "accounts/1.json"], "accounts/1.json: has no Name"),
    "no documents": (["--documents", "accounts/1.json"], "DocumentIdentifiers"),
}


BAD_TABLES = {
    "no level": ("--organization", "level = []", "t.toml: has no [[level]]"),
    "a number of levels": ("--organization", "level = 5", "t.toml: has no [[level]]"),
    "one level": ("--organization", "[level]\npolicies = []", "t.toml: has no [[level]]"),
    "level without policies": ("--organization", "[[level]]", "t.toml: level[0].policies: must be"),
    "a number of rules": ("--assert", "rule = 5", "t.toml: has no [[rule]]"),
    "a text in rules": ("--assert", "rule = ['x']", "t.toml: rule[0]: must be a table"),
    "rule about no document": (
        "--assert", "[[rule]]\nonly = []\ndocument = 'a b'",
        "t.toml: rule[0].document: 'a b' is not the name of a session document",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table_is_named_with_its_place(case: str, tmp_path: Path) -> None:
    option, text, message = BAD_TABLES[case]
    (tmp_path / "t.toml").write_text(text)
    ended = audit(tmp_path, option, "t.toml")
    assert (ended.returncode, ended.stdout) == (252, "")
    assert message in ended.stderr


@pytest.mark.parametrize("case", BAD)
def test_bad_command_line_exits_252(case: str, tmp_path: Path) -> None:
    words, text = BAD[case]
    ended = audit(tmp_path, *words)
    assert ended.returncode == 252
    assert text in ended.stderr
    assert ended.stdout.count("account") == 0


EXAMPLES = sorted(Path(__file__).parents[3].glob("*/gaad/cloudsplaining-example.json"), key=str)


@pytest.mark.skipif(not EXAMPLES, reason="no example account next to the repository")
def test_audits_public_example_account(tmp_path: Path) -> None:
    (tmp_path / "accounts" / "1.json").write_bytes(EXAMPLES[0].read_bytes())
    (tmp_path / "accounts" / "2.json.gz").unlink()
    assert report(tmp_path)["summary"] == {
        "accounts": 1, "principals": 122, "allowed_any": 12, "unbound": 12, "denied": 2,
        "none": 108, "unknown": 0,
    }  # fmt: skip
