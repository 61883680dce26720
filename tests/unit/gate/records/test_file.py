"""Appending to chained files: rotation, full disks, locks, and many writers at once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records import file
from ssmgate.gate.records.delivery import LARGEST
from ssmgate.gate.records.writer import Recorder
from ssmgate.gate.system import trusted_open
from ssmgate.records.verify import Line, Result, verify

OPENED = trusted_open.open_trusted


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "log").mkdir(mode=0o755)
    monkeypatch.setattr(
        trusted_open, "open_trusted", lambda *a, **k: OPENED(*a, **{**k, "base": str(tmp_path)})
    )
    return tmp_path / "log" / "records"


def write(log: Path, count: int = 1, required: bool = False, **members: object) -> list[str]:
    one = Recorder(Records(str(log), required=required, chain=True), {})
    return [one.write("end", members) for _ in range(count)]


def lines(*paths: Path) -> list[Line]:
    return [
        Line(str(path), number, text)
        for path in paths
        for number, text in enumerate(path.read_bytes().split(b"\n"), 1)
        if text
    ]


def links(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line.text)["chain"] for line in lines(path)]


def assert_intact(result: Result, records: int) -> None:
    assert (result.findings, result.records, result.unchained) == ([], records, 0)


def test_each_line_has_hash_of_line_before(log: Path) -> None:
    assert write(log, 2) + write(log) == ["", "", ""]

    first, second, third = lines(log)
    assert links(log) == [
        {"seq": 1, "prev": None},
        {"seq": 2, "prev": hashlib.sha256(first.text).hexdigest()},
        {"seq": 3, "prev": hashlib.sha256(second.text).hexdigest()},
    ]
    assert_intact(verify(lines(log)), 3)
    assert str(verify(lines(log)).head) == f"3:{third.hash}"


def test_chain_is_not_shortened(log: Path) -> None:
    write(log, text="x" * 100_000, many=["y" * 900] * 1000)

    (line,) = lines(log)
    assert len(line.text) <= LARGEST
    write(log)
    assert_intact(verify(lines(log)), 2)


def test_begins_after_records_without_chain(log: Path) -> None:
    Recorder(Records(str(log)), {}).write("end", {})
    write(log, 2)

    result = verify(lines(log))
    assert (result.findings, result.records, result.unchained) == ([], 2, 1)


@pytest.mark.parametrize("name", ["records.1", "records-20261130", "records-20261130-1796083200"])
def test_continues_after_rotation(log: Path, name: str) -> None:
    write(log, 2)
    log.rename(log.parent / name)
    write(log, 2)

    assert [link["seq"] for link in links(log)] == [3, 4]
    assert_intact(verify(lines(log.parent / name, log)), 4)


def test_continues_after_file_that_was_rotated_last(log: Path) -> None:
    for name in ("records-20261129", "records-20261130"):
        write(log, 1)
        log.rename(log.parent / name)
        os.utime(log.parent / name, (0, int(name[-2:])))
    write(log, 1)

    assert [link["seq"] for link in links(log)] == [3]


def test_continues_after_copytruncate(log: Path) -> None:
    write(log, 2)
    (log.parent / "records.1").write_bytes(log.read_bytes())
    (log.parent / "records.1").chmod(0o600)
    os.truncate(log, 0)
    write(log, 1)

    assert_intact(verify(lines(log.parent / "records.1", log)), 3)


@pytest.mark.parametrize("name", ["records.1.gz", "records.10", "recordsX.1", "records-copy"])
def test_does_not_continue_other_files(log: Path, name: str) -> None:
    write(log, 2)
    log.rename(log.parent / name)
    write(log, 1)

    assert links(log) == [{"seq": 1, "prev": None}]


def test_does_not_continue_file_of_others(log: Path) -> None:
    write(log, 2)
    rotated = log.rename(log.parent / "records.1")
    rotated.chmod(0o666)
    write(log, 1)

    assert links(log) == [{"seq": 1, "prev": None}]


def test_writes_to_new_file_if_rotated_while_waiting_for_lock(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, 1)
    held = os.open(log, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)

    def rotate(_seconds: float) -> None:
        if log.exists():
            log.rename(log.parent / "records.1")
            os.close(held)

    monkeypatch.setattr(file.time, "sleep", rotate)
    assert write(log) == [""]

    assert_intact(verify(lines(log.parent / "records.1", log)), 2)


def test_waits_for_writer_of_rotated_file(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has opened the file, and writes after the rotation."""
    write(log, 1)
    rotated = log.parent / "records.1"
    held = os.open(log, os.O_RDWR | os.O_APPEND)
    fcntl.flock(held, fcntl.LOCK_EX)
    log.rename(rotated)
    (first,) = lines(rotated)
    late = json.dumps({"chain": {"seq": 2, "prev": first.hash}}).encode() + b"\n"

    def finish(_seconds: float) -> None:
        os.write(held, late)
        os.close(held)

    monkeypatch.setattr(file.time, "sleep", finish)
    assert write(log) == [""]

    assert_intact(verify(lines(rotated, log)), 3)


@pytest.fixture
def locked(log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(file, "LOCK_SECONDS", 0)
    write(log)
    with log.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield log


def test_locked_file_is_error(locked: Path) -> None:
    assert "another process has locked it" in write(locked)[0]


def test_locked_file_denies_if_records_are_required(locked: Path) -> None:
    one = Recorder(Records(str(locked), required=True, chain=True), {})
    with pytest.raises(RecordNotWritten, match="another process has locked it"):
        one.start(None, SessionRequest("i-1"), "s-1")


def full_disk(monkeypatch: pytest.MonkeyPatch, keep: int) -> None:
    written = os.write

    def write_part(descriptor: int, data: bytes) -> int:
        return written(descriptor, data[:keep])

    monkeypatch.setattr(os, "write", write_part)


def test_removes_partial_record(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log)
    with monkeypatch.context() as patch:
        full_disk(patch, 100)
        assert "only part of the record" in write(log)[0]
    write(log)

    assert_intact(verify(lines(log)), 2)


def test_chain_continues_after_partial_record(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append-only file cannot be truncated."""
    write(log)
    with monkeypatch.context() as patch:
        full_disk(patch, 100)
        patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(PermissionError()))
        assert "only part of the record" in write(log)[0]
    write(log, 2)

    result = verify(lines(log))
    assert_intact(result, 3)
    assert result.torn == 1


def test_endless_line_is_error(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "LONGEST_LINE", 1 << 15)
    log.write_bytes(b"x" * (1 << 17))
    log.chmod(0o600)

    assert "last line has more than" in write(log)[0]


def test_chain_without_file_is_error() -> None:
    one = Recorder(Records(syslog="/nonexistent/log", required=True, chain=True), {})
    assert "record.chain needs record.file" in one.write("end", {})


WRITER = """
import sys
from ssmgate.gate.system import trusted_open as trusted
opened = trusted.open_trusted
trusted.open_trusted = lambda *a, **k: opened(*a, **{**k, 'base': sys.argv[1]})
from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records import file
from ssmgate.gate.records.writer import Recorder
import os
file.LOCK_SECONDS = 60
for _ in range(8):
    if os.fork() == 0:
        one = Recorder(Records(sys.argv[1] + '/records', chain=True), {})
        os._exit(any([one.write('end', {'n': n, 'fill': 'y' * 500}) for n in range(5)]))
sys.exit(any([os.wait()[1] for _ in range(8)]))
"""


def test_200_writers_keep_chain_while_file_is_rotated(log: Path) -> None:
    """25 processes fork 8 writers each, which write 5 records each."""
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(log.parent)]) for _ in range(25)]
    rotations = 0
    while any(process.poll() is None for process in running):
        rotated = log.parent / "records.1"
        if rotations < 5 and log.exists() and log.stat().st_size > 50_000:
            if rotated.exists():
                rotated.rename(log.parent / f"old.{rotations}")
            log.rename(rotated)
            rotations += 1
        running[0].poll()
    assert [process.wait(60) for process in running] == [0] * 25

    names = [f"old.{n}" for n in range(rotations)] + ["records.1", "records"]
    paths = [log.parent / name for name in names if (log.parent / name).exists()]
    assert rotations > 1
    assert_intact(verify(lines(*paths)), 1000)
