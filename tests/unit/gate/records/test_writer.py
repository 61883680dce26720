"""Records: one unforgeable line each, in a file that no other user could have created."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.decision import (
    Permit,
    SimulationAttempt,
    Unknown,
    leave_to_service,
    override,
)
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial
from ssmgate.gate.records import local
from ssmgate.gate.records.delivery import LARGEST
from ssmgate.gate.records.writer import Recorder

CALLER = Caller(
    "111122223333",
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/alice",
    "AIDAEXAMPLE",
    "User",
    "aws",
)
DOCUMENT = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
REQUEST = SessionRequest("i-1", reason="TICKET-1")
QUESTION = Question(
    CALLER.policy_source_arn, DOCUMENT, (ContextEntry("aws:SourceIp", "ip", ("203.0.113.10",)),)
)
EVALUATION = Evaluation(
    DOCUMENT, EvalDecision.ALLOWED, (MatchedStatement("Dev", "IAM Policy", (7, 1), (9, 2)),)
)
NO_ANSWER = Unknown(Reason.NO_ANSWER, "IAM does not speak")
LOOK = SimulationAttempt(REQUEST, (QUESTION,), (EVALUATION,), NO_ANSWER)
LOCAL_DENIAL = LocalDenial(
    Reason.DOCUMENT_DENIED, "documents.deny", "session document 'X' is denied"
)


_SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())
RECORD = jsonschema.Draft202012Validator({**_SCHEMA, "oneOf": [{"$ref": "#/$defs/record"}]})


def recorder(directory: Path, required: bool = False, **environ: str) -> Recorder:
    return Recorder(Records(str(directory / "log" / "records"), required=required), environ)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    # The directories above are pytest's, and writable by all at the top.
    (tmp_path / "log").mkdir(mode=0o755)
    return tmp_path / "log" / "records"


@pytest.fixture(autouse=True)
def _below_a_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssmgate.gate.system import trusted_open

    opened = trusted_open.open_trusted
    monkeypatch.setattr(
        trusted_open, "open_trusted", lambda *a, **k: opened(*a, **{**k, "base": str(tmp_path)})
    )


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def test_decision_and_start_share_id(tmp_path: Path, log: Path) -> None:
    one = recorder(tmp_path, SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22")
    asked = Endpoints("https://me:secret@sts.example", "https://iam", "https://ssm?token=secret")
    assert one.decision(CALLER, LOOK, override(REQUEST, LOCAL_DENIAL), endpoints=asked) == ""
    assert one.start(CALLER, REQUEST, "alice-0123", asked) == ""

    decision, start = read(log)
    assert decision.keys() == {
        "schema_version", "event", "time", "decision_id", "mode", "unix", "verdict",
        "decided_by", "starts", "caller", "target", "document", "document_named", "reason",
        "evidence", "versions", "endpoints", "host", "process", "parameters", "access_key_id",
        "request_ids",
    }  # fmt: skip
    assert (decision["event"], start["event"]) == ("decision", "start")
    assert decision["decision_id"] == start["decision_id"] != recorder(tmp_path).decision_id
    assert start["session_id"] == "alice-0123"
    assert start["endpoints"] == decision["endpoints"]
    assert decision["endpoints"] == {
        "sts": "https://sts.example",
        "iam": "https://iam",
        "ssm": "https://ssm",
    }
    assert decision["caller"]["arn"] == CALLER.caller_arn
    assert decision["unix"]["uid"] == os.getuid()
    assert decision["unix"]["ssh_connection"] == "192.0.2.1 50000 192.0.2.2 22"
    assert (decision["target"], decision["reason"]) == ("i-1", "TICKET-1")
    assert (decision["document"], decision["document_named"]) == (
        "SSM-SessionManagerRunShell",
        False,
    )
    assert decision["evidence"] == {
        "reason_code": "allowed",
        "evaluations": [
            {
                "document_arn": DOCUMENT,
                "decision": "allowed",
                "matched_statements": [{"policy": "Dev", "policy_type": "IAM Policy", "line": 7}],
            }
        ],
        "context": [{"key": "aws:SourceIp", "type": "ip", "values": ["203.0.113.10"]}],
    }
    assert log.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    ("outcome", "verdict", "code"),
    [
        (LOCAL_DENIAL, "denied", Reason.DOCUMENT_DENIED),
        (Unknown(Reason.THROTTLED, "Rate exceeded"), "unknown", "throttled"),
    ],
)
def test_denial_records_reason(
    tmp_path: Path, log: Path, outcome: LocalDenial | Unknown, verdict: str, code: str
) -> None:
    recorder(tmp_path).decision(None, LOOK, outcome)

    (record,) = read(log)
    assert (record["verdict"], record["starts"], record["caller"]) == (verdict, False, None)
    assert record["evidence"]["reason_code"] == code
    assert record["evidence"]["reason"] == outcome.reason


SECRET = SessionRequest("i-1", parameters=(("command", ("psql -W s3cret",)), ("port", ("1",))))


@pytest.mark.parametrize(
    ("wanted", "recorded"),
    [
        ("all", {"command": ["psql -W s3cret"], "port": ["1"]}),
        ("names", {"command": None, "port": None}),
        ("none", None),
    ],
)
def test_records_parameters_as_configured(
    tmp_path: Path, log: Path, wanted: str, recorded: object
) -> None:
    one = Recorder(Records(str(log), parameters=wanted), {})
    one.decision(CALLER, replace(LOOK, request=SECRET), LOCAL_DENIAL)
    one.start(CALLER, SECRET, "s-1")

    assert [record["parameters"] for record in read(log)] == [recorded] * 2
    assert (b"s3cret" in log.read_bytes()) is (wanted == "all")


def test_too_many_parameters_are_omitted(tmp_path: Path, log: Path) -> None:
    many = SessionRequest("i-1", parameters=tuple((f"p{n}", ("v",)) for n in range(5000)))
    recorder(tmp_path).start(CALLER, many, "s-1")

    assert log.stat().st_size <= LARGEST + 1
    (record,) = read(log)
    assert (record["parameters"], record["session_id"]) == (None, "s-1")


def test_decision_records_age_of_cached_answer(tmp_path: Path, log: Path) -> None:
    for at in (time.time() - 20, time.time() + 1000):  # the clock was set back since
        recorder(tmp_path).decision(CALLER, LOOK, LOCAL_DENIAL, cached_at=at)

    ages = [record["evidence"]["cache_age"] for record in read(log)]
    assert 20 <= ages[0] < 1000
    assert ages[1] == 0


def test_records_request_ids_by_operation(tmp_path: Path, log: Path) -> None:
    one = recorder(tmp_path)
    one.seen.update(access_key_id="AKIAEXAMPLE", SimulatePrincipalPolicy=["r-1", "r-2"])
    one.decision(CALLER, LOOK, LOCAL_DENIAL)
    one.seen.update(StartSession=["r-3"])
    one.start(CALLER, REQUEST, "s-1")

    decision, start = read(log)
    assert decision["request_ids"] == {"SimulatePrincipalPolicy": ["r-1", "r-2"]}
    assert start["request_ids"] == {"StartSession": ["r-3"]}
    assert decision["access_key_id"] == start["access_key_id"] == "AKIAEXAMPLE"


UNASKED = Unknown(Reason.NOT_ALLOWED_TO_SIMULATE, "the caller may not simulate")


@pytest.mark.parametrize(
    ("outcome", "permissive", "verdict", "decided_by"),
    [
        (leave_to_service(REQUEST.named("Dev-Shell"), UNASKED), False, "unknown", "service"),
        (Permit(REQUEST), False, "allowed", "simulation"),
        (UNASKED, False, "unknown", "simulation"),
        (UNASKED, True, "unknown", "permissive"),
        (LOCAL_DENIAL, False, "denied", "rules"),
        (LOCAL_DENIAL, True, "denied", "permissive"),
    ],
)
def test_decision_records_what_decided(
    tmp_path: Path, log: Path, outcome: Any, permissive: bool, verdict: str, decided_by: str
) -> None:
    replace(recorder(tmp_path), permissive=permissive).decision(None, LOOK, outcome)

    (record,) = read(log)
    assert (record["verdict"], record["decided_by"]) == (verdict, decided_by)
    starts = permissive or isinstance(outcome, Permit)
    assert record["starts"] is starts
    if decided_by == "service":
        assert record["evidence"]["reason_code"] == Reason.NOT_ALLOWED_TO_SIMULATE


HOSTILE = 'x\n{"event": "start"}\r\x00\x1b[2J\x7f\u0085\u2028\u202e\ud800"\\'


@pytest.mark.parametrize("where", ["target", "reason", "ssh_connection", "session_id"])
def test_hostile_values_stay_in_one_record(tmp_path: Path, log: Path, where: str) -> None:
    values = {"target": "i-1", "reason": "r", "ssh_connection": "c", "session_id": "s"}
    values[where] = HOSTILE
    one = recorder(tmp_path, SSH_CONNECTION=values["ssh_connection"])

    one.start(None, SessionRequest(values["target"], reason=values["reason"]), values["session_id"])

    text = log.read_bytes()
    assert text.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in text[:-1])
    (record,) = read(log)
    assert {**record, **record["unix"]}[where] == HOSTILE


@pytest.mark.parametrize("long", ["a" * 200_000, "\U0001f600" * 200_000])
def test_long_values_are_truncated(tmp_path: Path, log: Path, long: str) -> None:
    recorder(tmp_path, SSH_CONNECTION=long).decision(
        None,
        SimulationAttempt(SessionRequest(long, reason=long), (), (EVALUATION,) * 2000, NO_ANSWER),
        Unknown(Reason.FAILED, long),
    )

    assert log.stat().st_size <= LARGEST + 1
    assert read(log)[0]["reason"].endswith("… (200000 characters)")


def test_too_long_evidence_is_omitted(tmp_path: Path, log: Path) -> None:
    statements = tuple(MatchedStatement(f"{n}" * 20, "IAM Policy") for n in range(100, 200))
    many = (Evaluation(DOCUMENT, EvalDecision.ALLOWED, statements),) * 50

    recorder(tmp_path).decision(
        None, SimulationAttempt(REQUEST, (QUESTION,), many, NO_ANSWER), LOCAL_DENIAL
    )

    assert log.stat().st_size <= LARGEST + 1
    (record,) = read(log)
    assert (record["evidence"], record["target"]) == (None, "i-1")
    RECORD.validate(record)  # what readers compare is not shortened


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    disposition = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, disposition)


@pytest.mark.parametrize("size", [0, 100])
def test_too_long_record_is_not_written(tmp_path: Path, log: Path, size: int) -> None:
    one = recorder(tmp_path, required=True)
    with file_size_limit(size), pytest.raises(RecordNotWritten, match=r"record\.required is set"):
        one.decision(None, LOOK, override(REQUEST, LOCAL_DENIAL))

    assert one.decision(None, LOOK, LOCAL_DENIAL) == ""
    assert json.loads(log.read_bytes().splitlines()[-1])["event"] == "decision"


def test_records_are_written_after_disk_was_full_twice(tmp_path: Path, log: Path) -> None:
    one = recorder(tmp_path)
    with file_size_limit(100):
        assert "only part" in one.decision(None, LOOK, LOCAL_DENIAL)
    assert one.start(None, REQUEST, "s-1") == ""
    assert one.start(None, REQUEST, "s-2") == ""

    lines = log.read_bytes().splitlines()
    assert [json.loads(line)["session_id"] for line in lines[1:]] == ["s-1", "s-2"]


def link(path: Path) -> None:
    (path.parent / "real").touch(0o600)
    path.symlink_to("real")


def second_name(path: Path) -> None:
    path.touch(0o600)
    os.link(path, path.parent / "second")


def open_to_all(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


def directory_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


def no_directory(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (link, "is a symbolic link"),
        (second_name, "must be yours, with mode 0600 and no hard link"),
        (open_to_all, "with mode 0600"),
        (directory_of_all, "can be written by others"),
        (no_directory, "No such file or directory"),
        (os.mkfifo, "is not a regular file"),
        (Path.mkdir, "Is a directory"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_does_not_write_to_insecure_path(
    tmp_path: Path, log: Path, prepare: Callable[[Path], None], words: str
) -> None:
    prepare(log)

    assert words in recorder(tmp_path).decision(None, LOOK, LOCAL_DENIAL)
    with pytest.raises(RecordNotWritten):
        recorder(tmp_path, required=True).start(None, REQUEST, "s-1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_does_not_write_to_file_of_another_user(tmp_path: Path, log: Path) -> None:
    log.touch(0o600)
    os.chown(log, 12345, -1)

    assert "belongs to uid 12345" in recorder(tmp_path).decision(None, LOOK, LOCAL_DENIAL)


def test_path_contains_user_name(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    path = str(log.parent / "{user}.jsonl")
    Recorder(Records(path), {}).decision(None, LOOK, LOCAL_DENIAL)
    assert (log.parent / f"{pwd.getpwuid(os.getuid()).pw_name}.jsonl").exists()

    monkeypatch.setattr(local, "_name", lambda uid: None)
    assert "has no name" in Recorder(Records(path), {}).decision(None, LOOK, LOCAL_DENIAL)


def test_required_record_without_destination_denies() -> None:
    with pytest.raises(RecordNotWritten, match=r"neither record\.file nor record\.syslog is set"):
        Recorder(Records(required=True), {}).decision(None, LOOK, override(REQUEST, LOCAL_DENIAL))


def test_denial_needs_no_record() -> None:
    assert Recorder(Records(required=True), {}).decision(None, LOOK, LOCAL_DENIAL) != ""


def test_writes_nothing_without_destination() -> None:
    assert Recorder(Records(), {}).start(None, REQUEST, "s-1") == ""


# syslog


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "syslog"))
        server.settimeout(5)
        yield server


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [(override(REQUEST, LOCAL_DENIAL), 6), (LOCAL_DENIAL, 4)],
    ids=["allowed", "denied"],
)
def test_syslog_gets_record_as_authpriv(
    syslog: socket.socket, outcome: Permit | LocalDenial, severity: int
) -> None:
    Recorder(Records(syslog=syslog.getsockname()), {}).decision(None, LOOK, outcome)

    head, _, body = syslog.recv(1 << 16).partition(b": ")
    assert head.startswith(b"<%d>" % (10 * 8 + severity))
    assert head.endswith(b"ssmgate[%d]" % os.getpid())
    assert json.loads(body)["event"] == "decision"


def test_file_and_syslog_must_both_accept_record(
    tmp_path: Path, log: Path, syslog: socket.socket
) -> None:
    both = Recorder(Records(str(log), syslog.getsockname(), required=True), {})
    both.start(None, REQUEST, "s-1")
    assert json.loads(syslog.recv(1 << 16).partition(b": ")[2]) == read(log)[0]

    without = Recorder(Records(str(log), str(tmp_path / "none"), required=True), {})
    with pytest.raises(RecordNotWritten, match=r"syslog .*No such file"):
        without.start(None, REQUEST, "s-2")


def test_does_not_wait_for_full_log(syslog: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmgate.gate.records.syslog._SECONDS", 0.1)
    one = Recorder(Records(syslog=syslog.getsockname()), {})

    problems = [one.decision(None, LOOK, LOCAL_DENIAL)]
    while not problems[-1] and len(problems) < 10_000:
        problems.append(one.decision(None, LOOK, LOCAL_DENIAL))

    assert problems[0] == ""
    assert "timed out" in problems[-1] or "unavailable" in problems[-1]


@pytest.mark.parametrize("required", [False, True])
def test_unresponsive_destination_does_not_keep_session_open(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    """For example a file on a server that does not answer."""
    monkeypatch.setattr("ssmgate.gate.records.writer.START_SECONDS", 0.05)
    monkeypatch.setattr("ssmgate.gate.records.delivery._to_file", lambda *_: time.sleep(30))
    one = recorder(tmp_path, required=required)

    if required:
        with pytest.raises(RecordNotWritten, match=r"took longer than 0\.05 s"):
            one.start(None, REQUEST, "s-1")
    else:
        assert one.start(None, REQUEST, "s-1") == "it took longer than 0.05 s"


def test_looks_up_user_name_before_session(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory service may hang in C code that no time limit interrupts."""
    import pwd

    asked: list[int] = []
    known = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: asked.append(uid) or known)
    local._name.cache_clear()

    recorder(tmp_path).decision(None, LOOK, LOCAL_DENIAL)
    recorder(tmp_path).start(None, REQUEST, "s-1")

    assert asked == [os.getuid()]
