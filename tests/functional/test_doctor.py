"""`ssmgate doctor` as a program: its text, its JSON, and its exit status."""

from __future__ import annotations

import json
import re
from importlib import resources

import jsonschema
import pytest

from conftest import Machine
from fakes.doctor_machine import PREFERENCES, ROOT, simulated
from fakes.scripted_aws import hang, json_ok, xml_error

SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())


@pytest.fixture
def healthy(machine: Machine) -> Machine:
    machine.aws.script("SimulatePrincipalPolicy", simulated())
    machine.aws.script("GetDocument", json_ok({"Content": PREFERENCES}))
    machine.environ["PATH"] = f"{ROOT / 'bin'}:{machine.environ['PATH']}"
    return machine


def doctor(machine: Machine, *words: str, **environ: str | None) -> tuple[int, str]:
    # A call that is not waited for may still have its socket open at the end, by design.
    environ = {"PYTHONWARNINGS": "error,ignore::ResourceWarning", **environ}
    ended = machine.python("-m", "ssmgate", "doctor", *words, **environ)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_prints_line_for_each_check(healthy: Machine) -> None:
    status, output = doctor(healthy)

    lines = [line for line in output.splitlines() if not line.startswith(" ")]
    assert status == 0
    assert lines[-1] == "everything is in order" or "warning" in lines[-1]
    assert "ok       plugin              " in output
    assert "user/alice" in output
    assert len(lines) == 31 + 2
    assert not healthy.plugin.started
    assert "StartSession" not in healthy.aws.operations


def test_prints_fix_below_problem(healthy: Machine) -> None:
    healthy.aws.script("SimulatePrincipalPolicy", xml_error("AccessDenied", "no", 403))

    status, output = doctor(healthy)

    lines = output.splitlines()
    (number,) = (n for n, line in enumerate(lines) if line.startswith("problem  simulation"))
    assert status == 3
    end = next(n for n, line in enumerate(lines) if n > number and line.strip() == "}")
    statement = json.loads("".join(lines[number + 1 : end + 1]))
    assert statement["Action"] == ["iam:SimulatePrincipalPolicy"]
    assert lines[number + 1].strip() == "{", "each member is on a line of its own"


@pytest.mark.parametrize(
    ("environ", "exit_status"),
    [({}, 0), ({"AWS_REGION": None}, 3), ({"AWS_PROFILE": "none"}, 3)],
    ids=["healthy", "no region", "no profile"],
)
def test_prints_json(healthy: Machine, environ: dict[str, str | None], exit_status: int) -> None:
    status, output = doctor(healthy, "--output", "json", **environ)

    report = json.loads(output)
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    assert (status, report["exit_status"], report["kind"]) == (exit_status, exit_status, "doctor")
    names = [result["name"] for result in report["results"]]
    assert len(set(names)) == len(names) == 31


def test_exits_with_unknown_if_something_was_not_checked(healthy: Machine) -> None:
    healthy.aws.script("SimulatePrincipalPolicy", xml_error("Throttling", "Rate exceeded"))

    assert doctor(healthy, "--output", "json", "--query", "exit_status") == (4, "4\n")


def test_ends_although_service_does_not_answer(healthy: Machine) -> None:
    healthy.aws.script("SimulatePrincipalPolicy", hang(30))

    status, output = doctor(healthy)

    assert status == 3
    assert "problem  IAM " in output
    assert "no answer within" in output


def test_rejects_document_name(healthy: Machine) -> None:
    ended = healthy.python("-m", "ssmgate", "doctor", "--document-name", "Dev")

    assert ended.returncode == 252
    assert "use 'ssmgate check'" in ended.stderr


def test_prints_text_of_others_as_escapes(healthy: Machine) -> None:
    _, output = doctor(healthy, AWS_REGION="us\x1b[31m-east\n-1")

    assert "\x1b" not in output
    assert "\\x1b[31m" in output


def test_page_documents_each_line(healthy: Machine) -> None:
    page = (ROOT / "docs" / "reference" / "doctor.md").read_text().partition("## The lines")[2]
    _, output = doctor(healthy, "--output", "json")

    documented = re.findall(r"^\| `([\w ]+)` \|", page, re.MULTILINE)
    assert documented == [result["name"] for result in json.loads(output)["results"]]


@pytest.mark.parametrize(
    "patch",
    [
        "from ssmgate.gate.argv import parse; parse.Driver._get_argument_table = None",
        "import sys; sys.modules['ssmgate.gate.argv.parse'] = None",
    ],
    ids=["renamed method", "not importable"],
)
def test_blames_awscli_that_cannot_be_used(healthy: Machine, patch: str) -> None:
    code = f"import sys; from ssmgate.__main__ import ssmgate; {patch}; ssmgate()"
    ended = healthy.python("-c", code, "doctor", "--output", "json")

    results = {result["name"]: result for result in json.loads(ended.stdout)["results"]}
    assert (ended.returncode, ended.stderr) == (3, "")
    assert results["awscli"]["state"] == "problem"
    assert "cannot be" in results["awscli"]["text"]
    assert results["credentials"]["text"] == "not checked: see 'awscli'"
    assert results["plugin"]["state"] == "ok"
