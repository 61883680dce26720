"""`ssmgate policy lint`: inputs, outputs and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugins import ways
from unit.policy_tools.accounts import ACCOUNT, answer, document, principal, statement

NODES = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/*"
WEAK = document(statement(resource=NODES))
TEXT = json.dumps(WEAK, indent=2)
YAML = f"""\
Resources:
  Policy:
    PolicyDocument:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: s3:GetObject
          Resource: "*"
        - Effect: Allow
          Action: ssm:StartSession
          Resource: {NODES}
          Condition:
            Bool: {{"aws:MultiFactorAuthPresent": true}}
"""
PLAN = {
    "format_version": "1.2",
    "planned_values": {
        "root_module": {
            "resources": [
                {"address": "aws_s3_bucket.a", "type": "aws_s3_bucket", "values": {}},
            ],
            "child_modules": [
                {
                    "resources": [
                        {
                            "address": "module.ops.aws_iam_policy.shell",
                            "type": "aws_iam_policy",
                            "values": {"policy": json.dumps(WEAK)},
                        }
                    ]
                }
            ],
        }
    },
}


def lint(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSMGATE_"))}
    command = ["-P", "-m", "ssmgate", "policy", "lint", *words]
    return ways.python(command, env=own | {"HOME": str(directory)}, cwd=directory)


def findings(directory: Path, *words: str, code: int = 3) -> list[dict[str, Any]]:
    ended = lint(directory, *words, "--output", "json")
    assert ended.returncode == code, ended.stderr
    report = json.loads(ended.stdout)
    assert report["complete"] is (code != 4)
    return [one for one in report["findings"] if one["code"] != "SG015"]


INPUTS = {
    "JSON": ("p.json", TEXT, None, 1, (4, 5)),
    "YAML": ("p.yaml", YAML, "Resources.Policy.PolicyDocument", 2, (9, 11)),
    "plan": ("plan.json", json.dumps(PLAN), "module.ops.aws_iam_policy.shell", 1, (None, None)),
    "account": (
        "account.json",
        json.dumps(answer([principal("user", "ann", statement(resource=NODES))])),
        *("ann/own", 1, (None, None)),
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_finds_policy_in_each_format_with_its_position(case: str, tmp_path: Path) -> None:
    name, text, policy, number, position = INPUTS[case]
    (tmp_path / name).write_text(text)
    (one,) = findings(tmp_path, name)
    assert (one["code"], one["file"], one["policy"]) == ("SG001", name, policy)
    assert one["statement"] == number
    assert (one["line"], one["column"]) == position
    assert one["fix"]["Condition"]["BoolIfExists"]


def test_searches_directory_for_policies(tmp_path: Path) -> None:
    for name, text, *_ in INPUTS.values():
        (tmp_path / name).write_text(text)
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "readme.txt").write_text("{")
    assert len(findings(tmp_path, ".")) == len(INPUTS)


IN_ANSWER = {"PolicyVersion": {"VersionId": "v1", "Document": WEAK}}
TRUST = document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
TEMPLATE = {"Resources": {"A": {"Trust": TRUST, "Policies": [{"PolicyDocument": WEAK}]}}}
STATE = {"format_version": "1.0", "values": PLAN["planned_values"]}
NESTED = {
    "get-policy-version": (IN_ANSWER, "PolicyVersion.Document"),
    "get-role-policy": ({"RoleName": "r", "PolicyDocument": WEAK}, "PolicyDocument"),
    "template": (TEMPLATE, "Resources.A.Policies[0].PolicyDocument"),
    "list": ([WEAK], "[0]"),
    "Terraform state": (STATE, "module.ops.aws_iam_policy.shell"),
}


@pytest.mark.parametrize("case", NESTED)
def test_policy_inside_json_is_found(case: str, tmp_path: Path) -> None:
    value, path = NESTED[case]
    (tmp_path / "p.json").write_text(json.dumps(value))
    (one,) = findings(tmp_path, "p.json", "--select", "SG001")
    assert one["policy"] == path


def test_skips_resource_policies_in_directory(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    (tmp_path / "trust.json").write_text(json.dumps(TRUST))
    (tmp_path / "trust.yaml").write_text(json.dumps(TRUST))
    (tmp_path / "role.yaml").write_text(json.dumps({"AssumeRolePolicyDocument": TRUST}))
    assert {one["file"] for one in findings(tmp_path, ".")} == {"./p.json"}
    for name in ("trust.json", "trust.yaml"):
        ended = lint(tmp_path, name)
        assert ended.returncode == 4
        assert "only resource-based policies have this element" in ended.stderr


FUNCTIONS = {
    "Sub": "!Sub 'arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:instance/*'",
    "Sub with a list": "!Sub ['arn:aws:ec2:${R}:*:instance/*', {R: us-east-1}]",
    "Ref": "!Ref Nodes",
    "GetAtt": "[!GetAtt Nodes.Arn]",
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_reports_function_of_template_as_problem_of_policy(case: str, tmp_path: Path) -> None:
    computed = YAML.replace(f"Resource: {NODES}", f"Resource: {FUNCTIONS[case]}")
    (tmp_path / "p.yaml").write_text(f"{computed}Other:\n  Policy: {json.dumps(WEAK)}\n")
    ended = lint(tmp_path, "p.yaml", "--fail-on", "high")
    assert ended.returncode == 4
    assert "p.yaml: line 11: !" in ended.stderr
    assert "is not evaluated" in ended.stderr
    assert "p.yaml:15:" in ended.stdout


def test_reads_sub_without_variables_as_text(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(YAML.replace(f"Resource: {NODES}", f"Resource: !Sub {NODES}"))
    assert len(findings(tmp_path, "p.yaml")) == 1


def resource(address: str, kind: str, **values: Any) -> dict[str, Any]:
    return {"address": address, "mode": "managed", "type": kind, "values": values}


IN_PLAN = json.dumps(WEAK)
PLANNED = [
    resource('aws_iam_policy.each["a"]', "aws_iam_policy", policy=IN_PLAN),
    resource("aws_iam_role_policy.each[0]", "aws_iam_role_policy", policy=IN_PLAN),
    resource("aws_iam_user_policy.one", "aws_iam_user_policy", policy=IN_PLAN),
    resource("aws_iam_group_policy.one", "aws_iam_group_policy", policy=IN_PLAN),
    resource(
        "aws_iam_role.one",
        "aws_iam_role",
        assume_role_policy="{}",
        inline_policy=[{"name": "a", "policy": IN_PLAN}, {"name": "", "policy": ""}],
    ),
    resource(
        "aws_ssoadmin_permission_set_inline_policy.one",
        "aws_ssoadmin_permission_set_inline_policy",
        inline_policy=IN_PLAN,
    ),
    resource(
        "aws_organizations_policy.one",
        "aws_organizations_policy",
        type="SERVICE_CONTROL_POLICY",
        content=IN_PLAN,
    ),
    resource(
        "aws_organizations_policy.tags",
        "aws_organizations_policy",
        type="TAG_POLICY",
        content='{"tags": {}}',
    ),
    resource(
        "aws_iam_role_policies_exclusive.one", "aws_iam_role_policies_exclusive", policy_names=["a"]
    ),
    {**resource("data.aws_iam_policy.one", "aws_iam_policy", policy=IN_PLAN), "mode": "data"},
]


def test_finds_each_kind_of_policy_in_plan(tmp_path: Path) -> None:
    inner = {"address": "module.a.module.b[0]", "resources": PLANNED}
    root = {"child_modules": [{"address": "module.a", "child_modules": [inner]}]}
    plan = {"format_version": "1.2", "planned_values": {"root_module": root}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert [one["policy"] for one in findings(tmp_path, "plan.json", "--select", "SG001")] == [
        'aws_iam_policy.each["a"]',
        "aws_iam_role_policy.each[0]",
        "aws_iam_user_policy.one",
        "aws_iam_group_policy.one",
        "aws_iam_role.one.inline_policy[0]",
        "aws_ssoadmin_permission_set_inline_policy.one",
        "aws_organizations_policy.one",
    ]


WRONG_PLANS = {
    "planned_values": ({"planned_values": 5}, "planned_values: must be an object"),
    "root_module": (
        {"planned_values": {"root_module": []}},
        "planned_values.root_module: must be an object",
    ),
    "resources": (
        {"planned_values": {"root_module": {"resources": True}}},
        "planned_values.resources: must be a list of objects",
    ),
    "values": (
        {"planned_values": {"root_module": {"resources": [{"type": "aws_iam_role", "values": 5}]}}},
        "aws_iam_role.values: must be an object",
    ),
}


@pytest.mark.parametrize("case", WRONG_PLANS)
def test_reports_wrong_type_in_plan_with_its_place(case: str, tmp_path: Path) -> None:
    plan, message = WRONG_PLANS[case]
    (tmp_path / "p.json").write_text(json.dumps(plan))
    ended = lint(tmp_path, "p.json")
    assert ended.returncode == 4
    assert f"ssmgate: [ERROR]: p.json: {message}\n" in ended.stderr


@pytest.mark.parametrize("values", [{}, {"root_module": {}}])
def test_accepts_plan_without_policies(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"planned_values": values}))
    assert findings(tmp_path, "p.json", code=0) == []


def test_reports_pipe_in_directory_without_reading_it(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    os.mkfifo(tmp_path / "a.json")
    ended = lint(tmp_path, ".", "--fail-on", "high")
    assert ended.returncode == 4
    assert "ssmgate: [ERROR]: ./a.json: is not a regular file" in ended.stderr
    assert "./p.json:4:5: SG001" in ended.stdout


def test_text_has_position_and_fix(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    ended = lint(tmp_path, "p.json")
    assert ended.returncode == 3
    assert ended.stdout.startswith(
        "p.json:4:5: SG001 medium: allows nodes without a condition on"
        " ssm:SessionDocumentAccessCheck\n"
        "  see docs/reference/findings/SG001.md\n"
        "  replace the statement with:\n"
    )
    assert ended.stdout.endswith("2 findings: 1 medium, 1 note\n")


def test_text_names_page_once_for_each_code(tmp_path: Path) -> None:
    for name in ("p.json", "q.json"):
        (tmp_path / name).write_text(TEXT)
    text = lint(tmp_path, "p.json", "q.json").stdout

    assert text.count(" SG001 medium: ") == 2
    assert text.count("  see docs/reference/findings/SG001.md\n") == 1


def test_sarif_has_required_members(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    report = json.loads(lint(tmp_path, "p.json", "--output", "sarif").stdout)
    assert report["version"] == "2.1.0"
    (run,) = report["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert rules[3]["help"]["text"].endswith(": see docs/reference/findings/SG004.md")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"] == {"uri": "p.json"}
        assert physical["region"] == {"startLine": 4, "startColumn": 5}


PLACES = {
    "a name with spaces": ("my policy #1 100%.json", "my%20policy%20%231%20100%25.json"),
    "below the directory": ("./a/../p.json", "p.json"),
    "a colon": ("a:b.json", "a%3Ab.json"),
    "bytes that are not UTF-8": (os.fsdecode(b"\xff.json"), "%FF.json"),
}


@pytest.mark.parametrize("case", PLACES)
def test_sarif_names_file_by_relative_uri(case: str, tmp_path: Path) -> None:
    name, uri = PLACES[case]
    (tmp_path / "a").mkdir()
    (tmp_path / name).write_text(TEXT)
    report = json.loads(lint(tmp_path, name, "--output", "sarif").stdout)
    found = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in report["runs"][0]["results"]
    }
    assert found == {uri}


def test_sarif_has_rules_and_positions_that_github_requires(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    (run,) = json.loads(lint(tmp_path, "plan.json", "--output", "sarif").stdout)["runs"]
    for rule in run["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert "see " in rule["help"]["text"]
    regions = [one["locations"][0]["physicalLocation"]["region"] for one in run["results"]]
    assert regions == [{"startLine": 1}] * len(regions)


def test_document_content_adds_findings(tmp_path: Path) -> None:
    names = ("arn:aws:ssm:*::document/AWS-StartSSHSession", "arn:aws:ssm:*:*:document/SSM-Session*")
    allow = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": names}
    (tmp_path / "p.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": allow}))
    content = json.dumps({"inputs": {"runAsEnabled": True}})
    default = {"Name": "SSM-SessionManagerRunShell", "Content": content}
    (tmp_path / "d.json").write_text(json.dumps(default))
    ended = lint(tmp_path, "p.json", "--document-content", "d.json", "--output", "json")
    found = json.loads(ended.stdout)["findings"]
    assert [(one["code"], one["file"], one["statement"]) for one in found] == [
        ("SG014", "d.json", None),
        ("SG003", "p.json", 1),
    ]


def test_github_commands_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "a,b.json").write_text(TEXT)
    text = lint(tmp_path, "a,b.json", "--output", "github").stdout
    assert text.startswith("::warning file=a%2Cb.json,line=4,col=5,title=SG001::allows nodes")


def test_github_commands_have_the_worst_first_and_paths_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(TEXT)
    (tmp_path / "b.json").write_text(TEXT.replace(NODES, "*"))
    lines = lint(tmp_path, ".", "--output", "github").stdout.splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == sorted(kinds, key=["::error", "::warning", "::notice"].index)
    assert lines[0].startswith("::error file=b.json,line=4,col=5,title=SG002::")
    assert lines[1].startswith("::warning file=a.json,")


STATUSES = {
    "default": ([], 3),
    "only high": (["--fail-on", "high"], 0),
    "another code": (["--select", "SG002"], 0),
    "that code": (["--select", "SG001", "--fail-on", "medium"], 3),
    "ignored": (["--ignore", "SG001"], 0),
    "even notes": (["--ignore", "SG001", "--fail-on", "note"], 3),
    "all by their beginning": (["--ignore", "SG"], 0),
    "unknown code": (["--select", "XX"], 252),
}


@pytest.mark.parametrize("case", STATUSES)
def test_exit_status_depends_on_options(case: str, tmp_path: Path) -> None:
    words, code = STATUSES[case]
    (tmp_path / "p.json").write_text(TEXT)
    assert lint(tmp_path, "p.json", *words).returncode == code


def test_baseline_of_directory_is_one_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    assert lint(tmp_path, ".", "--write-baseline", "known").returncode == 0
    assert findings(tmp_path, "p.json", "--baseline", "known", code=0) == []


def test_baseline_omits_known_findings_after_they_move(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(TEXT)
    assert lint(tmp_path, "p.json", "--write-baseline", "known").returncode == 0
    (tmp_path / "p.json").write_text("\n\n" + TEXT)
    assert findings(tmp_path, "p.json", "--baseline", "known", code=0) == []
    (tmp_path / "p.json").write_text(TEXT.replace(NODES, "*"))
    codes = [one["code"] for one in findings(tmp_path, "p.json", "--baseline", "known")]
    assert codes == ["SG001", "SG002"]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
BAD = {
    "truncated": ("p.json", TEXT[:-5], "p.json: line "),
    "not a policy": ("p.json", '{"a": 1}', "p.json: has no policy"),
    "a member twice": (
        "p.json",
        TEXT.replace('"Effect"', '"Effect": "Deny", "Effect"'),
        "p.json: 'Effect' is in one object twice",
    ),
    "unknown element": ("p.json", TEXT.replace("Effect", "Efect"), "p.json: line 4: "),
    "YAML bomb": ("p.yaml", BOMB, "p.yaml: line 2: aliases are not supported"),
    "bad YAML": ("p.yaml", "a: [", "p.yaml: line "),
    "deep YAML": ("p.yaml", "[" * 100_000, "p.yaml: line 1: is nested too deeply"),
    # Which of the two depends on the release of Python.
    "deep JSON": ("p.json", f"{'[' * 980}{']' * 980}", "p.json: "),
    "deeper JSON": ("p.json", f"{'[' * 5000}{']' * 5000}", "p.json: is nested too deeply"),
    "YAML without a policy": ("p.yaml", "a: 1", "p.yaml: has no policy"),
    "wrong YAML policy": (
        "p.yaml", YAML.replace("Effect: Allow", "Effect: Maybe"), "p.yaml: line 4: ",
    ),
    "unknown in the plan": (
        "p.json",
        json.dumps(PLAN).replace(json.dumps(json.dumps(WEAK)), "null"),
        "p.json: module.ops.aws_iam_policy.shell: policy is not known",
    ),
    "no file": (None, "", "p.json: cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_reports_bad_file_and_lints_others(case: str, tmp_path: Path) -> None:
    name, text, message = BAD[case]
    if name:
        (tmp_path / name).write_text(text)
    (tmp_path / "good.json").write_text(json.dumps(document(statement(action="s3:GetObject"))))
    ended = lint(tmp_path, name or "p.json", "good.json")
    assert ended.returncode == 4
    assert f"ssmgate: [ERROR]: {message}" in ended.stderr
    assert ended.stdout == "0 findings\n"
