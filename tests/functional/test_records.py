"""Records of real runs: decisions and starts, and no session without a required record."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from conftest import TARGET, Machine
from fakes.log import Log
from fakes.scripted_aws import (
    ACCOUNT,
    JSON_REQUEST_ID,
    SESSION_ID,
    STREAM_URL,
    TOKEN,
    ScriptedAws,
    context_keys,
    evaluation,
    json_error,
    xml_error,
)

pytestmark = pytest.mark.starts


@pytest.fixture
def log(machine: Machine) -> Iterator[Log]:
    log = Log(machine.home / "syslog")
    machine.environ["SSMGATE_RECORD_SYSLOG"] = log.path
    yield log
    if os.path.exists(log.path):
        log.close()


def test_start_records_decision_and_start(machine: Machine, log: Log) -> None:
    ended = machine.run("--target", TARGET, "--reason", "TICKET-1", SSH_CONNECTION="a 1 b 2")

    assert (ended.returncode, ended.stderr) == (0, "")
    texts = log.texts
    assert not any(secret in text for text in texts for secret in (TOKEN, STREAM_URL, "secret-of"))
    decision, start, _end = (json.loads(text.partition(": ")[2]) for text in texts)
    assert (decision["event"], decision["verdict"], decision["starts"]) == (
        "decision",
        "allowed",
        True,
    )
    assert (start["event"], start["session_id"]) == ("start", SESSION_ID)
    assert decision["decision_id"] == start["decision_id"]
    assert start["caller"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (start["target"], start["reason"]) == (TARGET, "TICKET-1")
    assert start["unix"]["ssh_connection"] == "a 1 b 2"
    assert start["versions"]["plugin"] == "1.2.804.0"
    assert start["versions"].keys() == {"ssmgate", "awscli", "plugin"}


def test_records_caller_and_request_id_of_cloudtrail(machine: Machine, log: Log) -> None:
    machine.run("--target", TARGET, "--parameters", "portNumber=22")

    decision, start, _end = log.records
    assert decision["request_ids"] == {"SimulatePrincipalPolicy": ["r-1"]}
    assert start["request_ids"] == {"StartSession": [JSON_REQUEST_ID]}
    assert start["access_key_id"] == machine.environ["AWS_ACCESS_KEY_ID"]
    assert start["parameters"] == {"portNumber": ["22"]}
    assert start["host"] == socket.gethostname()
    assert start["process"] == decision["process"]
    assert start["process"]["pid"] != os.getpid()


def test_records_each_attempt_to_simulate(machine: Machine, log: Log) -> None:
    """A throttled request has an id too, and CloudTrail lists it."""
    machine.aws.script(
        "SimulatePrincipalPolicy",
        xml_error("Throttling", "Rate exceeded", 400),
        *machine.aws.answers["SimulatePrincipalPolicy"],
    )
    assert machine.run("--target", TARGET).returncode == 0

    assert log.records[0]["request_ids"] == {"SimulatePrincipalPolicy": ["r-1"]}


def test_records_request_of_checker(machine: Machine, log: Log) -> None:
    """Another client asks IAM then. The key is the caller's."""
    (machine.home / ".aws").mkdir(exist_ok=True)
    (machine.home / ".aws" / "credentials").write_text(
        "[checker]\naws_access_key_id = AKIACHECKER\naws_secret_access_key = x\n"
    )
    credentials = str(machine.home / ".aws" / "credentials")
    ended = machine.run(
        "--target",
        TARGET,
        AWS_SHARED_CREDENTIALS_FILE=credentials,
        SSMGATE_CHECKER_PROFILE="checker",
    )

    assert ended.returncode == 0, ended.stderr
    decision, _start, _end = log.records
    assert decision["request_ids"] == {"SimulatePrincipalPolicy": ["r-1"]}
    assert decision["access_key_id"] == machine.environ["AWS_ACCESS_KEY_ID"]


@pytest.mark.process
def test_records_terminal_and_parent(machine: Machine, log: Log) -> None:
    """A start in a session of its own has no terminal, one below script(1) has."""
    program = [sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET]
    environ = machine.variables()
    subprocess.run(program, env=environ, start_new_session=True, check=True, timeout=60)
    pid, master = pty.fork()
    if pid == 0:
        os.execve(program[0], program, environ)
    with suppress(OSError):  # the terminal's other end is closed
        while os.read(master, 1 << 16):
            pass
    assert os.waitpid(pid, 0)[1] == 0
    os.close(master)

    alone, _, _, at_terminal, _, end = (record["process"] for record in log.records)
    assert (alone["tty"], alone["started_by"]) == (None, "program")
    assert at_terminal["started_by"] == "person"
    assert at_terminal["tty"].startswith("/dev/pts/")
    assert at_terminal["pid"] == end["pid"] == pid
    own = Path("/proc/self/comm").read_text().rstrip("\n")
    assert alone["parent"] == at_terminal["parent"] == own


def test_denial_records_reason(machine: Machine, log: Log) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("explicitDeny", policies=("Fence",)))
    machine.aws.script("GetContextKeysForPrincipalPolicy", context_keys())
    machine.run("--target", TARGET)

    (record,) = log.records
    assert (record["verdict"], record["starts"]) == ("denied", False)
    evidence = record["evidence"]
    (evaluated,) = evidence.pop("evaluations")
    assert evaluated["decision"] == "explicitDeny"
    assert [s["policy"] for s in evaluated["matched_statements"]] == ["Fence"]
    assert {"key": "aws:userid", "type": "string", "values": ["AIDAEXAMPLE"]} in evidence.pop(
        "context"
    )
    assert evidence == {
        "reason_code": "explicit_deny",
        "document_arn": f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell",
        "layer": "identity-based policy",
        "matched_policies": ["Fence"],
        "missing_context": [],
    }


def test_records_endpoints_that_answered(machine: Machine, log: Log) -> None:
    """A cached answer has the endpoints that were called for it."""
    with ScriptedAws() as iam:
        for _ in range(2):
            ended = machine.run(
                "--target", TARGET, SSMGATE_CACHE_TTL="60", AWS_ENDPOINT_URL_IAM=iam.url
            )
            assert (ended.returncode, ended.stderr) == (0, "")
        asked = {"sts": machine.aws.url, "iam": iam.url, "ssm": machine.aws.url}

    records = [record for record in log.records if record["event"] != "end"]
    assert [record["endpoints"] for record in records] == [asked] * 4
    assert [r["evidence"].get("cached") for r in records if "evidence" in r] == [None, True]


def test_denial_by_rule_records_reason(machine: Machine, log: Log) -> None:
    machine.run("--target", TARGET, SSMGATE_TARGETS_ALLOW="mi-*")

    (record,) = log.records
    assert record["evidence"]["rule"] == "targets.allow"


def test_unknown_records_reason(machine: Machine, log: Log) -> None:
    machine.aws.script("GetCallerIdentity", xml_error("ExpiredToken", "expired", 403))
    machine.run("--target", TARGET)

    (record,) = log.records
    assert (record["verdict"], record["caller"]) == ("unknown", None)
    assert record["evidence"]["reason_code"] == "expired"


def test_permissive_records_overridden_denial(machine: Machine, log: Log) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    assert machine.run("--target", TARGET, SSMGATE_MODE="permissive").returncode == 0

    decision, start, _end = log.records
    assert (decision["mode"], decision["verdict"], decision["starts"]) == (
        "permissive",
        "denied",
        True,
    )
    assert decision["evidence"]["reason_code"] == "implicit_deny"
    assert start["session_id"] == SESSION_ID


def test_failing_required_decision_record_starts_nothing(machine: Machine) -> None:
    ended = machine.run(
        "--target",
        TARGET,
        SSMGATE_RECORD_SYSLOG=str(machine.home / "no-socket"),
        SSMGATE_RECORD_REQUIRED="true",
    )

    assert (ended.returncode, ended.stdout) == (254, "")
    assert "cannot write the audit record, and record.required is set: syslog" in ended.stderr
    assert machine.aws.calls("StartSession") == []
    assert not machine.plugin.started


def test_failing_required_start_record_ends_session(machine: Machine, log: Log) -> None:
    """The log is removed between the two records, while StartSession is answered."""
    (answer,) = machine.aws.answers["StartSession"]

    def close_and_answer(handler: Any, received: Any) -> None:
        log.close()
        answer(handler, received)

    machine.aws.script("StartSession", close_and_answer)

    ended = machine.run("--target", TARGET, SSMGATE_RECORD_REQUIRED="true")

    assert ended.returncode == 254
    assert "cannot write the audit record" in ended.stderr
    assert f"session {SESSION_ID} was terminated" in ended.stderr
    assert machine.aws.sessions_left() == []
    assert not machine.plugin.started


def test_failing_optional_record_warns_and_starts(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, SSMGATE_RECORD_SYSLOG=str(machine.home / "no-socket"))

    assert ended.returncode == 0
    assert ended.stderr.count("[WARNING]: cannot write the audit record: syslog") == 2
    assert ended.stderr.count("cannot write the record of the session's end: syslog") == 1
    assert machine.plugin.started


def test_service_error_records_no_start(machine: Machine, log: Log) -> None:
    machine.aws.script("StartSession", json_error("TargetNotConnected", "no"))
    machine.run("--target", TARGET)

    assert [record["event"] for record in log.records] == ["decision"]


def test_concurrent_starts_write_whole_lines(machine: Machine) -> None:
    """All write to one file: each record is one write."""
    directory = machine.home / "records"
    directory.mkdir()
    code = (
        "import sys; from ssmgate.gate.system import trusted_open as trusted\n"
        "opened = trusted.open_trusted\n"
        "trusted.open_trusted = lambda *a, **k: opened(*a, **{**k, 'base': sys.argv[1]})\n"
        "from ssmgate.gate.records.writer import Recorder\n"
        "from ssmgate.gate.config.load import Records\n"
        "one = Recorder(Records(sys.argv[1] + '/records'), {})\n"
        "for n in range(50): assert one.write('x', {'n': n, 'fill': 'y' * 1000}) == ''\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(directory)], env=machine.variables())
        for _ in range(6)
    ]
    assert [process.wait(60) for process in running] == [0] * 6

    lines = (directory / "records").read_text().splitlines()
    records = [json.loads(line) for line in lines if line]
    assert len(records) == 300
    assert len({record["decision_id"] for record in records}) == 6
