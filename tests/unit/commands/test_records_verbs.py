"""`ssmgate records`: what it prints."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ssmgate.commands.main import main
from ssmgate.records import follow


def run(*words: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["records", *words], input=input)


def chained(count: int) -> list[bytes]:
    texts: list[bytes] = []
    prev = None
    for seq in range(1, count + 1):
        texts.append(json.dumps({"n": seq, "chain": {"seq": seq, "prev": prev}}).encode())
        prev = hashlib.sha256(texts[-1]).hexdigest()
    return texts


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    texts = chained(6)
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"\n".join(texts[:2]) + b"\n"))
    (tmp_path / "log.1").write_bytes(b"\n".join(texts[2:4]) + b"\n")
    (tmp_path / "log").write_bytes(b"\n" + b"\n".join(texts[4:]) + b"\n")
    return tmp_path


def test_verifies_rotated_files_as_one_chain(files: Path) -> None:
    ended = run("verify", "log.2.gz", "log.1", "log")
    head = hashlib.sha256(chained(6)[5]).hexdigest()

    assert ended.stdout.splitlines() == [
        "6 records, 1 to 6: the chain is intact",
        f"head: 6:{head}",
    ]
    assert run("verify", "log.1", "log", "--head", f"6:{head}").exit_code == 0


def test_prints_file_and_line_of_finding(files: Path) -> None:
    path = files / "log"
    path.write_bytes(path.read_bytes().replace(b'"n": 5', b'"n": 9'))

    ended = run("verify", "log.1", "log")
    assert ended.exit_code == 3
    assert ended.stdout.splitlines()[:2] == [
        "log:2: changed: does not have the hash that the next record names",
        "4 records, 3 to 6: 1 finding",
    ]


def test_reports_missing_file_between_two(files: Path) -> None:
    ended = run("verify", "log.2.gz", "log")
    assert ended.stdout.startswith("log:2: missing: 2 records are missing before it\n")


def test_prints_json(files: Path) -> None:
    found = json.loads(run("verify", "log.1", "log", "--output", "json").stdout)

    assert (found["findings"], found["records"], found["head"]["seq"]) == ([], 4, 6)


def test_reads_standard_input(files: Path) -> None:
    assert run("verify", "-", input=b"\n".join(chained(3))).exit_code == 0


@pytest.mark.parametrize("name", ["none", ".", "broken.gz"])
def test_unreadable_file_is_unknown(files: Path, name: str) -> None:
    (files / "broken.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    ended = run("verify", name)

    assert ended.exit_code == 4
    assert ended.stderr.startswith(f"ssmgate: [ERROR]: {name}: ")


def test_escapes_names_of_files(files: Path) -> None:
    (files / "a\x1bb").write_text("{}\n{}\n")
    assert "\x1b" not in run("verify", "log.1", "a\x1bb").output


ALICE = "arn:aws:iam::111122223333:user/alice"
BOB = "arn:aws:sts::111122223333:assumed-role/Ops/bob"


def record(event: str, minute: int, user: str, **members: object) -> dict[str, object]:
    arn = {"alice": ALICE, "bob": BOB}[user]
    return {
        "schema_version": 2, "event": event, "time": f"2025-11-30T07:{minute:02}:00.000000Z",
        "decision_id": f"d-{user}-{minute // 10}", "unix": {"user": user}, "target": "i-1",
        "document": "Dev-Shell", "caller": {"arn": arn}, "process": {"started_by": "person"},
        **members,
    }  # fmt: skip


def decision(minute: int, user: str, verdict: str, starts: bool, **evidence: object) -> object:
    seen = {"reason_code": "allowed", "evaluations": [], "context": [], **evidence}
    return record("decision", minute, user, verdict=verdict, starts=starts, evidence=seen)


SHELL = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
RECORDS = [
    decision(1, "alice", "allowed", True, evaluations=[{"document_arn": SHELL}]),
    record("start", 2, "alice", session_id="s-1", request_ids={"StartSession": ["r-1"]}),
    record("end", 9, "alice", session_id="s-1", exit_code=3, duration=400.5),
    decision(11, "bob", "denied", True, reason_code="explicit_deny", matched_policies=["Fence"]),
    record("start", 12, "bob", session_id="s-2", request_ids={"StartSession": ["r-2"]}),
    decision(21, "bob", "denied", False, reason_code="implicit_deny", matched_policies=[]),
    decision(31, "alice", "unknown", False, reason_code="throttled"),
    decision(41, "alice", "denied", False, reason_code="document_denied", rule="documents.deny"),
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "log"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in RECORDS))
    return path


def minutes(*words: str) -> list[int]:
    ended = run("show", "--output", "json", *words, "log")
    assert ended.exit_code == 0, ended.output
    return [int(json.loads(line)["time"][14:16]) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), [1, 2, 9, 11, 12, 21, 31, 41]),
        (("--denied",), [11, 21, 31, 41]),
        (("--user", "bob"), [11, 12, 21]),
        (("--user", ALICE, "--denied"), [31, 41]),
        (("--session", "s-1"), [1, 2, 9]),
        (("--session", "s-1", "--user", "bob"), []),
        (("--session", "none"), []),
        (("--document", "Dev-Shell", "--user", "bob"), [11, 12, 21]),
        (("--document", SHELL), [1]),
        (("--since", "2025-11-30T07:20"), [21, 31, 41]),
        (("--since", "2025-11-30T08:20+01:00"), [21, 31, 41]),
        (("--since", "1h"), []),
    ],
)
def test_show_selects_records(log: Path, options: tuple[str, ...], shown: list[int]) -> None:
    assert minutes(*options) == shown


def test_show_prints_line_for_each_record(log: Path) -> None:
    lines = run("show", "log").stdout.splitlines()

    assert lines[:4] == [
        "2025-11-30T07:01:00Z  alice         allowed    i-1  Dev-Shell",
        "2025-11-30T07:02:00Z  alice         started    i-1  Dev-Shell  s-1",
        "2025-11-30T07:09:00Z  alice         ended      i-1  Dev-Shell  s-1  exit 3, 400.5 s",
        "2025-11-30T07:11:00Z  bob           denied     i-1  Dev-Shell  Fence; started anyway",
    ]
    assert lines[5].endswith("no policy allows it")
    assert lines[7].endswith("documents.deny")


def test_show_escapes_what_records_contain(log: Path) -> None:
    log.write_text(json.dumps(record("start", 1, "alice", session_id="\x1b[2J\u202e\n")) + "\n")
    shown = run("show", "log").stdout

    assert shown.count("\n") == 1
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("bad", ["", "{", "[]", "{}", '{"event": "start"}', "\x00", "[" * 100_000])
@pytest.mark.parametrize("verb", ["show", "stats"])
def test_counts_lines_that_are_not_records(log: Path, bad: str, verb: str) -> None:
    log.write_text(log.read_text() + bad + "\n")
    ended = run(verb, "log")

    assert ended.exit_code == (4 if bad else 0)
    assert ("1 line is not a record" in ended.stderr) is bool(bad)
    assert "alice" in ended.stdout


def test_reads_configured_file_by_default(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(log.parent))
    monkeypatch.delenv("SSMGATE_RECORD_FILE", raising=False)
    ended = run("show")
    assert ended.exit_code == 253
    assert "record.file is not set" in ended.output

    monkeypatch.setenv("SSMGATE_RECORD_FILE", str(log.parent / "{user}.jsonl"))
    log.rename(log.parent / f"{pwd.getpwuid(os.getuid()).pw_name}.jsonl")
    assert len(run("show").stdout.splitlines()) == len(RECORDS)


def test_stats_count_callers_documents_and_denials(log: Path) -> None:
    found = json.loads(run("stats", "--output", "json", "log").stdout)

    assert (found["sessions"], found["persons"], found["programs"]) == (2, 2, 0)
    assert found["callers"] == [
        {"name": ALICE, "allowed": 1, "denied": 1, "unknown": 1},
        {"name": BOB, "allowed": 0, "denied": 2, "unknown": 0},
    ]
    assert [(d["why"], d["count"], d["started"], d["callers"]) for d in found["denials"]] == [
        ("Fence", 1, 1, [BOB]),
        ("documents.deny", 1, 0, [ALICE]),
        ("no policy allows it", 1, 0, [BOB]),
        ("throttled", 1, 0, [ALICE]),
    ]
    assert "Fence" in run("stats", "log").stdout


def test_stats_of_no_records_are_zero(log: Path) -> None:
    assert run("stats", "--since", "1h", "log").stdout == "no records\n"


def event(request_id: str, session_id: str, name: str = "StartSession", **more: object) -> object:
    return {
        "eventSource": "ssm.amazonaws.com", "eventName": name, "requestID": request_id,
        "eventID": f"e-{request_id}", "eventTime": "2025-11-30T07:02:01Z",
        "userIdentity": {"arn": ALICE, "accessKeyId": "AKIAEXAMPLE"},
        "requestParameters": {"target": "i-1"}, "responseElements": {"sessionId": session_id},
        "sourceIPAddress": "203.0.113.10", "userAgent": "aws-cli/1", **more,
    }  # fmt: skip


EVENTS = [
    event("r-1", "s-1"),
    event("r-9", "s-9"),
    event("r-8", "s-8", errorCode="AccessDenied"),
    event("r-2", "s-2", name="TerminateSession"),
]
FORMS = {
    "log file": json.dumps({"Records": EVENTS}),
    "lookup-events": json.dumps({"Events": [{"CloudTrailEvent": json.dumps(e)} for e in EVENTS]}),
    "lines": "\n".join(map(json.dumps, EVENTS)),
    "list": json.dumps(EVENTS, indent=2),
}


@pytest.mark.parametrize("form", FORMS)
def test_join_finds_sessions_in_both_and_in_one_source(log: Path, form: str) -> None:
    (log.parent / "trail").write_text(FORMS[form])
    ended = run("join", "--cloudtrail", "trail", "--output", "json", "log")
    found = json.loads(ended.stdout)

    assert ended.exit_code == 3
    ((start, its_event),) = found["joined"]
    assert (start["session_id"], its_event["event_id"]) == ("s-1", "e-r-1")
    assert [one["session_id"] for one in found["only_cloudtrail"]] == ["s-9"]
    assert [one["session_id"] for one in found["only_records"]] == ["s-2"]


def test_join_by_session_id_if_request_id_is_unknown(log: Path) -> None:
    (log.parent / "trail").write_text(json.dumps([event("r-x", "s-1"), event("r-y", "s-2")]))
    ended = run("join", "--cloudtrail", "trail", "log")

    assert ended.exit_code == 0
    assert ended.stdout.startswith("2 in both\n")


def test_join_covers_only_time_since_given_date(log: Path) -> None:
    (log.parent / "trail").write_text(json.dumps([event("r-1", "s-1"), event("r-2", "s-2")]))
    since = ("--since", "2025-11-30T07:10")
    ended = run("join", *since, "--cloudtrail", "trail", "log")

    assert ended.exit_code == 3  # the event of s-2 has an earlier time in this test
    assert ended.stdout.splitlines()[0] == "0 in both"


@pytest.mark.parametrize(
    "text", ["", "x", "{}", '{"Events": [{}]}', '{"Records": [1]}', "[" * 99999]
)
def test_join_rejects_files_that_are_not_from_cloudtrail(log: Path, text: str) -> None:
    (log.parent / "trail").write_text(text)
    ended = run("join", "--cloudtrail", "trail", "log")

    assert ended.exit_code == (3 if not text else 4)


def test_follow_prints_new_records_after_rotation(log: Path) -> None:
    line = log.read_bytes().splitlines()[1]
    lines = follow.follow("log", from_start=False)
    assert next(lines) is None
    with log.open("ab") as file:
        file.write(line[:50])
        file.flush()
        assert next(lines) is None
        file.write(line[50:] + b"\n")
    assert next(lines) == line
    assert next(lines) is None
    log.rename("log.1")
    assert next(lines) is None
    log.write_bytes(b"new\n")
    assert next(one for one in lines if one is not None) == b"new"


@pytest.mark.parametrize("words", [("log", "log"), ("-",), ("log", "--session", "s")])
def test_follow_rejects_several_files(log: Path, words: tuple[str, ...]) -> None:
    assert run("show", "--follow", *words).exit_code == 252
