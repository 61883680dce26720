"""`check` and `documents` as users run them: exit statuses, faults, and that no session starts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from conftest import TARGET, Ended, Machine
from fakes import terminal
from fakes.scripted_aws import (
    ACCOUNT,
    TOKEN,
    Answer,
    evaluation,
    hang,
    json_error,
    json_ok,
    reset,
    xml,
    xml_error,
)
from functional.test_sandbox import NODE, SSH, Server, serving

SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GALLERY = Path(__file__).parent / "gallery"
CASES = [
    case
    for case in json.loads((GALLERY / "cases.json").read_text())
    if (GALLERY / f"{case['name']}.json").exists()
]
STARTS = {"StartSession", "TerminateSession"}
DEFAULT = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
CHECK_KEY = "ssm:SessionDocumentAccessCheck"
ALLOWED, IMPLICIT = evaluation(), evaluation("implicitDeny")


def verb(machine: Machine, *words: str, **environ: str | None) -> Ended:
    return machine.python("-m", "ssmgate", *words, **environ)


def check(machine: Machine, *words: str, **environ: str | None) -> Ended:
    return verb(machine, "check", "--target", TARGET, *words, **environ)


@pytest.mark.parametrize(
    ("answers", "words", "code", "first"),
    [
        pytest.param((ALLOWED,), ("--document-name", "Dev-Shell"), 0, "allowed", id="both"),
        pytest.param((IMPLICIT,), ("--document-name", "Dev-Shell"), 3, "denied", id="neither"),
        pytest.param(
            (ALLOWED, IMPLICIT), ("--document-name", "Dev-Shell"), 3, "denied", id="the target"
        ),
        pytest.param(
            (IMPLICIT, ALLOWED), ("--document-name", "Dev-Shell"), 3, "denied", id="the document"
        ),
        pytest.param(
            (xml_error("Throttling", "Rate exceeded"),), (), 4, "unknown", id="throttled"
        ),
        pytest.param(
            (ALLOWED, xml_error("AccessDenied", "no", 403)), (), 4, "unknown", id="one answer only"
        ),
        pytest.param((evaluation("perhaps"),), (), 4, "unknown", id="an unknown decision"),
        pytest.param(
            (IMPLICIT, xml_error("Throttling", "x")), ("--document-name", "Dev-Shell"), 3, "denied",
            id="a denial despite an unknown answer",
        ),
    ],
)  # fmt: skip
def test_check_reports_each_answer(
    machine: Machine, answers: tuple[Answer, ...], words: tuple[str, ...], code: int, first: str
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", *answers)

    result = check(machine, *words)

    assert (result.returncode, result.stdout.splitlines()[0], result.stderr) == (code, first, "")
    assert [line.partition(":")[0] for line in result.stdout.splitlines()[1:]] == [
        "document", "target",
    ]  # fmt: skip
    machine.aws.script("SimulatePrincipalPolicy", *answers)
    quiet = check(machine, "-q", *words)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (code, "", "")
    assert not STARTS & set(machine.aws.operations)
    assert not machine.plugin.started


def test_simulates_document_and_target_with_their_own_context(machine: Machine) -> None:
    """The key is absent for the target too where a document of the account is named.

    With the key false the answer is reported only.
    """
    node = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{TARGET}"
    prefix = "arn:aws:ssm:us-east-1:"
    for words, document, values in [
        ((), DEFAULT, ["true", "false"]),
        (("Dev-Shell",), f"{prefix}{ACCOUNT}:document/Dev-Shell", ["true", None, "false"]),
        (("AWS-StartSSHSession",), f"{prefix}:document/AWS-StartSSHSession", ["true", "false"]),
    ]:
        before = len(machine.aws.calls("SimulatePrincipalPolicy"))
        check(machine, *(("--document-name", *words) if words else ()))

        asked = machine.aws.calls("SimulatePrincipalPolicy")[before:]
        for call in asked:
            assert "ResourceArns.member.2" not in call.parameters
        found = [
            (c.parameters["ResourceArns.member.1"], c.context.get(CHECK_KEY, ("", [None]))[1][0])
            for c in asked
        ]
        assert found == [(document, "true"), *((node, value) for value in values)]


@pytest.mark.parametrize(
    ("answers", "answer", "code"),
    [
        ((ALLOWED, ALLOWED, ALLOWED, IMPLICIT), "allowed", "allowed"),
        ((ALLOWED, ALLOWED, IMPLICIT), "unknown", "access_check_unknown"),
        ((ALLOWED, IMPLICIT, ALLOWED), "unknown", "access_check_unknown"),
        ((ALLOWED, IMPLICIT, IMPLICIT), "denied", "implicit_deny"),
    ],
)
def test_target_of_named_document_is_unknown_if_it_depends_on_access_check_key(
    machine: Machine, answers: tuple[Answer, ...], answer: str, code: str
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", *answers)

    result = check(machine, "--document-name", "Dev-Shell", "--output", "json")

    target = json.loads(result.stdout)["target"]
    assert (target["answer"], target["reason_code"]) == (answer, code)
    if code == "access_check_unknown":
        there = "is true" if answers[1] is ALLOWED else "is absent"
        assert f"if {CHECK_KEY} {there}, and denied if it" in target["reason"]
        assert ("write BoolIfExists in place of Bool" in target["reason"]) is (
            answers[1] is ALLOWED
        )


@pytest.mark.parametrize(
    ("words", "environ", "code"),
    [
        (("--output", "table"), {}, 252),
        (("--query", "answer"), {}, 252),
        (("--documentname", "x"), {}, 252),
        (("--document-name", "x"), {}, 252),
        (("--no-sign-request",), {}, 252),
        (("--without",), {}, 252),
        ((), {"AWS_REGION": None}, 253),
        ((), {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 253),
        ((), {"SSMGATE_ALLOW_WILDCARD_GRANTS": "perhaps"}, 253),
        ((), {"SSMGATE_MODES": "x"}, 253),
    ],
)
def test_reports_usage_and_configuration_errors(
    machine: Machine, words: tuple[str, ...], environ: dict[str, str | None], code: int
) -> None:
    ended = check(machine, *words, **environ)
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert "ssmgate: [ERROR]: " in ended.stderr
    assert "SimulatePrincipalPolicy" not in machine.aws.operations


def test_simulates_without_policies(machine: Machine) -> None:
    words = ("--document-name", "Dev-Shell", "--without", "boundary", "--without=Sessions")
    ended = check(machine, *words)

    assert (ended.returncode, ended.stderr) == (0, "")
    first = ended.stdout.splitlines()[0]
    assert first == "allowed (without boundary, Sessions)"
    for call in machine.aws.calls("SimulatePrincipalPolicy"):
        prefix = "PolicyExclusionList.member."
        excluded = {k.removeprefix(prefix): v for k, v in call.parameters.items() if prefix in k}
        assert excluded["1.PolicyType"] == "permission-boundary"
        assert excluded["2.InlinePolicyIdentifier.PolicyName"] == "Sessions"


def test_reports_missing_default_document_of_region(machine: Machine) -> None:
    missing = json_error("InvalidDocument", "Document does not exist.")
    machine.aws.script("GetDocument", missing, missing)

    ended = check(machine)
    named = check(machine, "--document-name", "Dev-Shell")

    assert ended.returncode == named.returncode == 0
    note = "region us-east-1 has no document SSM-SessionManagerRunShell"
    assert note in ended.stdout
    assert "has no document" not in named.stdout


def test_target_is_required(machine: Machine) -> None:
    assert verb(machine, "check").returncode == 252


def test_check_flags_are_not_read_as_values(machine: Machine) -> None:
    """As a value they are rejected as by the AWS CLI; after -- the parser reads them."""
    assert check(machine, "--reason", "--explain").returncode == 252
    assert check(machine, "--reason=--explain").returncode == 0


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "SimulatePrincipalPolicy"])
def test_service_that_does_not_answer_is_unknown(machine: Machine, operation: str) -> None:
    machine.aws.script(operation, reset())
    ended = check(machine, "--output", "json")
    report = json.loads(ended.stdout)
    VALIDATOR.validate(report)
    assert (ended.returncode, report["answer"], ended.stderr) == (4, "unknown", "")


def test_unreadable_policies_leave_answer_unchanged(machine: Machine) -> None:
    """Any part of the explanation may fail without a change of the answer."""
    for operation in ("ListUserPolicies", "ListAttachedUserPolicies", "GetUser"):
        machine.aws.script(operation, xml("<PolicyNames><member>x</member></PolicyNames>"))
    machine.aws.script("GetUserPolicy", xml("<PolicyDocument>%7Bno json</PolicyDocument>"))
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)
    ended = check(machine, "--explain")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert "policy user_alice_x is not understood" in ended.stdout


def test_odd_entry_in_list_of_policies_hides_no_others(machine: Machine) -> None:
    attached = (
        "<AttachedPolicies><member><PolicyName>Odd</PolicyName></member><member/>"
        "</AttachedPolicies><IsTruncated>true</IsTruncated>"
    )
    names = "<PolicyNames><member/><member>p</member></PolicyNames>"
    machine.aws.script("ListUserPolicies", xml(names))
    machine.aws.script("ListAttachedUserPolicies", xml(attached))
    machine.aws.script("ListGroupsForUser", xml("<Groups><member/></Groups>"))
    statement = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "arn:aws:s3:::other"}
    text = quote(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    machine.aws.script("GetUserPolicy", xml(f"<PolicyDocument>{text}</PolicyDocument>"))
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)

    ended = check(machine, "--explain")

    assert (ended.returncode, ended.stderr) == (3, "")
    assert "arn:aws:s3:::other" in ended.stdout
    assert "one of the inline policies of user alice" in ended.stdout
    assert "the rest of the attached policies of user alice" in ended.stdout


def test_ctrl_c_interrupts_check(machine: Machine) -> None:
    machine.aws.script("GetCallerIdentity", hang(20))
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmgate", "check", "--target", TARGET], text=True,
        env=machine.variables(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    machine.aws.wait_for("GetCallerIdentity")
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=30)
    assert (process.returncode, *shown) == (130, "", "\n")


def test_colours_only_at_terminal(machine: Machine) -> None:
    def on_a_terminal(**environ: str) -> str:
        leader, follower = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "ssmgate", "check", "--target", TARGET], stdout=follower,
            stdin=subprocess.DEVNULL, env=machine.variables(**environ), check=True, timeout=60,
        )  # fmt: skip
        os.close(follower)
        shown = os.read(leader, 10000).decode()
        os.close(leader)
        return shown

    assert "\x1b[32mallowed\x1b[0m" in on_a_terminal()
    assert "\x1b" not in on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in check(machine).stdout
    assert "\x1b[32m" in check(machine, "--color", "on").stdout


# The start path


def start_at_terminal(machine: Machine, *words: str, **environ: str | None) -> tuple[int, str]:
    """Return the exit status of a start and what it wrote to the terminal."""
    argv = [sys.executable, "-m", "ssmgate", "start-session", *words]
    status, out, shown = terminal.run(argv, machine.variables(**environ), machine.home)
    assert out == ""
    return status, shown


def test_denial_at_terminal_names_nearest_statement_and_next_step(
    gallery: Server, machine: Machine
) -> None:
    who = environ_of(gallery, "node-tags-cover-documents")
    status, shown = start_at_terminal(machine, "--target", NODE, "--region", "us-east-1", **who)

    assert status == 254
    rows = shown.splitlines()
    arn = f"arn:aws:iam::{ACCOUNT}:user/node-tags-cover-documents"
    assert rows[:5] == [
        "ssmgate: [ERROR]: access denied: session document SSM-SessionManagerRunShell",
        "  It is the default document; no --document-name was given.",
        "  reason    no identity-based policy allows ssm:StartSession on it",
        f"  document  {DEFAULT}",
        f"  caller    {arn}",
    ]
    assert rows[5].startswith("  nearest   policy user_node-tags-cover-documents_")
    assert "statement ByTag" in rows[5]
    assert rows[5].endswith(": requires ssm:resourceTag/Env dev, which a document lacks")
    assert rows[-4:] == [
        "  code      AccessDeniedException (IAM simulation; no session was started)",
        "",
        "  To request access, send your administrator the output of:",
        f"    ssmgate check --request --target {NODE} --region us-east-1",
    ]
    requested = check(machine, "--request", **who).stdout
    assert "to allow this session and nothing else, after the obstacles" in " ".join(
        requested.split()
    )


def test_denial_of_ssh_document_at_terminal_makes_no_extra_calls(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)
    status, shown = start_at_terminal(machine, "--target", TARGET, "--document-name", SSH)

    assert status == 254
    assert [row.split()[1] for row in shown.splitlines()] == ["[ERROR]:", "reason:", "hint:"]
    assert "ListUserPolicies" not in machine.aws.operations


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_check_and_start_session_agree(
    gallery: Server, machine: Machine, case: dict[str, Any]
) -> None:
    """`check` decides about the document as the gate does; the service decides about the target."""
    report = json.loads((GALLERY / f"{case['name']}.json").read_text())
    result = start(gallery, machine, case["as"], words=case["words"], **case["environ"])

    assert len(result.stderr.splitlines()) == 3 or report["document"]["answer"] == "allowed"
    if report["document"]["answer"] != "allowed":
        assert result.returncode == 254
        assert not machine.plugin.started
    elif report["answer"] == "allowed":
        assert result.returncode == 0


@pytest.mark.parametrize(
    ("broken", "seconds"),
    [
        pytest.param("raise RuntimeError", 0, id="it fails"),
        pytest.param("raise KeyboardInterrupt", 0, id="Ctrl-C"),
        pytest.param("import time; time.sleep(30)", 5, id="it takes too long"),
    ],
)
def test_failing_explanation_leaves_denial(machine: Machine, broken: str, seconds: int) -> None:
    (machine.home / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'ssmgate.explain.summary':\n"
        "            import ssmgate.explain.policies as p\n"
        f"            def read(self, caller, boundary=True):\n                {broken}\n"
        "            p.PolicyReader.read = read\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)
    status, shown = start_at_terminal(
        machine, "--target", TARGET, PYTHONPATH=str(machine.home), PYTHONWARNINGS=None
    )

    assert status == 254
    assert shown.startswith("ssmgate: [ERROR]: access denied: session document ")
    assert "nearest" not in shown
    assert "Traceback" not in shown
    assert not machine.plugin.started


def test_permissive_mode_reads_no_policies(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)
    ended = machine.run("--target", TARGET, SSMGATE_MODE="permissive")
    assert ended.returncode == 0
    assert "ListUserPolicies" not in machine.aws.operations


def test_service_denial_names_limits_of_simulation(machine: Machine) -> None:
    words = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: x"
    machine.aws.script("StartSession", json_error("AccessDeniedException", words))
    ended = machine.run("--target", TARGET, "--document-name", "Dev-Shell")

    assert ended.returncode == 254
    assert words in ended.stderr
    assert "session policies, VPC endpoint policies, resource control policies" in ended.stderr


def test_other_errors_and_overrides_do_not_mention_simulation(machine: Machine) -> None:
    machine.aws.script("StartSession", json_error("TargetNotConnected", "not connected"))
    assert "simulation" not in machine.run("--target", TARGET).stderr
    machine.aws.script("SimulatePrincipalPolicy", IMPLICIT)
    machine.aws.script("StartSession", json_error("AccessDeniedException", "no"))
    ended = machine.run("--target", TARGET, SSMGATE_MODE="permissive")
    assert "IAM simulation allowed" not in ended.stderr


# allow_wildcard_grants = false


@pytest.mark.parametrize(
    ("who", "document", "code"),
    [
        ("all-is-well", None, 0),
        ("named-wanted", None, 254),
        ("named-hidden", None, 254),
        ("boundary-denies", SSH, 254),
        ("shell-not-ssh", None, 0),
        ("deny-by-enumeration", None, 254),
    ],
)
def test_explicit_grant_rule_requires_named_document(
    gallery: Server, machine: Machine, who: str, document: str | None, code: int
) -> None:
    words = ["--target", NODE, *(("--document-name", document) if document else ())]
    wide, named = (
        start(gallery, machine, who, words=words, SSMGATE_ALLOW_WILDCARD_GRANTS=word)
        for word in ("true", "false")
    )
    assert wide.returncode == 0, wide.stderr
    assert named.returncode == code, named.stderr
    if code:
        assert "names" in named.stderr


def test_explicit_grant_rule_costs_one_call(machine: Machine) -> None:
    machine.run("--target", TARGET, SSMGATE_ALLOW_WILDCARD_GRANTS="false")
    first, control = machine.aws.calls("SimulatePrincipalPolicy")
    assert first.parameters["ResourceArns.member.1"] == DEFAULT
    assert "no-such-document" in control.parameters["ResourceArns.member.1"]
    assert {k: v for k, v in first.context.items() if "Time" not in k} == {
        k: v for k, v in control.context.items() if "Time" not in k
    }
    # That answer names no statement, so the rule cannot be evaluated.
    assert machine.aws.operations.count("StartSession") == 0


def test_unanswered_control_does_not_allow(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", ALLOWED, xml_error("Throttling", "Rate exceeded"))
    ended = machine.run("--target", TARGET, SSMGATE_ALLOW_WILDCARD_GRANTS="false")
    assert ended.returncode == 254
    assert "could not check access to session document " in ended.stderr
    assert "StartSession" not in machine.aws.operations


# documents


def test_documents_takes_two_simulations(machine: Machine) -> None:
    own_names = ("Dev-Shell", "SSM-SessionManagerRunShell")
    own_page = {"DocumentIdentifiers": [{"Name": name} for name in own_names], "NextToken": "t"}
    last_page = {"DocumentIdentifiers": []}
    awss_page = {"DocumentIdentifiers": [{"Name": "AWS-StartSSHSession"}]}
    machine.aws.script("ListDocuments", *map(json_ok, (own_page, last_page, awss_page)))
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream",
               "inputs": {"runAsEnabled": True, "runAsDefaultUser": "ops"}}  # fmt: skip
    machine.aws.script("GetDocument", json_ok({"Content": json.dumps(content)}))
    ended = verb(machine, "documents", "--output", "json")

    assert (ended.returncode, ended.stderr) == (4, "")
    report = json.loads(ended.stdout)
    VALIDATOR.validate(report)
    assert report["default_preferences"] == content["inputs"]
    own, awss = machine.aws.calls("SimulatePrincipalPolicy")
    assert own.parameters["ResourceArns.member.2"] == DEFAULT
    assert "aws:ResourceAccount" in own.context
    assert awss.parameters["ResourceArns.member.1"].endswith("::document/AWS-StartSSHSession")
    assert "aws:ResourceAccount" not in awss.context
    # Scripted about the first alone: what is not spoken of is unknown.
    assert [d["answer"] for d in report["documents"]] == ["allowed", "unknown", "allowed"]
    assert not STARTS & set(machine.aws.operations)


def test_documents_reports_missing_permission_to_list(machine: Machine) -> None:
    for operation in ("ListDocuments", "GetDocument"):
        machine.aws.script(operation, json_error("AccessDeniedException", "no"))
    ended = verb(machine, "documents", "--target", TARGET)
    assert ended.returncode == 4
    assert "AWS-StartSSHSession" in ended.stdout
    assert "could not all be listed" in ended.stdout
    assert f"target {TARGET}: allowed" in ended.stdout


def test_documents_rejects_document_name(machine: Machine) -> None:
    assert verb(machine, "documents", "--document-name", "Dev-Shell").returncode == 252


@pytest.mark.parametrize(
    ("who", "code"),
    [
        pytest.param("all-is-well", 4, id="may not list"),
        pytest.param("document-tag", 4, id="may not list, and is denied"),
        pytest.param("scp-document", 4, id="denied by a service control policy"),
        pytest.param("mfa-deny", 0, id="denied without MFA"),
        pytest.param("source-ip", 4, id="unknown"),
    ],
)
def test_documents_reports_answers_of_sandbox(
    gallery: Server, machine: Machine, who: str, code: int
) -> None:
    words = ("documents", "--target", NODE, "--output", "json")
    report = report_for(gallery, machine, who, *words, code=code)
    VALIDATOR.validate(report)
    answers = {entry["name"]: entry["answer"] for entry in report["documents"]}
    assert answers["SSM-SessionManagerRunShell"] == {
        "all-is-well": "allowed", "document-tag": "denied", "scp-document": "unknown",
        "mfa-deny": "denied", "source-ip": "unknown",
    }[who]  # fmt: skip
    assert len(answers) >= 8


def test_redact_masks_names_and_ids(gallery: Server, machine: Machine) -> None:
    words = ("check", "--target", NODE, "--output", "json", "--redact")
    report = report_for(gallery, machine, "never-listed", *words, code=3)
    VALIDATOR.validate(report)
    text = json.dumps(report)
    assert not [word for word in (ACCOUNT, NODE, "never-listed") if word in text]


def test_prints_no_secret(gallery: Server, machine: Machine) -> None:
    for words in (("check", "--target", NODE, "--explain"), ("documents",)):
        ended = run_as(gallery, machine, "all-is-well", *words)
        for secret in (TOKEN, "secret-of-example", gallery.key("all-is-well")):
            assert secret not in ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def gallery() -> Iterator[Server]:
    with serving("--seed", str(GALLERY / "seed.toml"), "--model", "2025") as server:
        yield server


def environ_of(gallery: Server, who: str) -> dict[str, str]:
    signs = gallery.principals[who]
    found = {
        "AWS_ENDPOINT_URL": gallery.url,
        "AWS_ACCESS_KEY_ID": str(signs["access_key_id"]),
    }
    if signs["session_token"]:
        found["AWS_SESSION_TOKEN"] = str(signs["session_token"])
    return found


def run_as(gallery: Server, machine: Machine, who: str, *words: str) -> Ended:
    return verb(machine, *words, **environ_of(gallery, who))


def report_for(gallery: Server, machine: Machine, who: str, *words: str, code: int = 0) -> Any:
    ended = run_as(gallery, machine, who, *words)
    assert (ended.returncode, ended.stderr) == (code, "")
    return json.loads(ended.stdout)


def start(
    gallery: Server,
    machine: Machine,
    who: str,
    words: list[str] | None = None,
    **environ: str,
) -> Ended:
    words = ["--target", NODE] if words is None else words
    return machine.run(*words, **environ_of(gallery, who), **environ)
