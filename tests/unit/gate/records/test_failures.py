"""What goes wrong with records, in one table: the outcome of each, and that no session starts."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.decision import Permit, SimulationAttempt
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records import file, syslog
from ssmgate.gate.records.delivery import LARGEST
from ssmgate.gate.records.writer import Recorder
from ssmgate.gate.system import trusted_open
from ssmgate.records.verify import Line, verify

OPENED = trusted_open.open_trusted
REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "records.md"


class Place:
    """A record file and a syslog socket. Both take records until a row of the table breaks one."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.file, self.patch = directory / "log" / "records", patch
        self.file.parent.mkdir(mode=0o755)
        patch.setattr(
            trusted_open, "open_trusted",
            lambda *a, **k: OPENED(*a, **{**k, "base": str(directory)}),
        )  # fmt: skip
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(str(directory / "syslog"))
        self.log.setblocking(False)

    def recorder(self, chain: bool) -> Recorder:
        records = Records(str(self.file), self.log.getsockname(), required=True, chain=chain)
        return Recorder(records, {})

    def fail_write(self, number: int) -> None:
        def fail(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        self.patch.setattr(os, "write", fail)

    def write_part(self) -> None:
        written = os.write
        self.patch.setattr(os, "write", lambda number, data: written(number, data[:50]))

    def fail_open(self, number: int) -> None:
        def fail(*_: object, **__: object) -> int:
            raise OSError(number, os.strerror(number))

        self.patch.setattr(trusted_open, "open_trusted", fail)

    def fill_log(self) -> None:
        self.patch.setattr(syslog, "_SECONDS", 0.05)
        sent = 1
        while sent:  # one socket's own buffer may be full before the queue of the log is
            sent = self._send_until_full()

    def _send_until_full(self) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self.log.getsockname())
            sender.setblocking(False)
            for sent in range(100_000):
                try:
                    sender.send(b"x")
                except BlockingIOError:
                    return sent
        raise AssertionError("the log is never full")

    def hold_lock(self) -> None:
        import fcntl

        self.patch.setattr(file, "LOCK_SECONDS", 0)
        self.file.touch(0o600)
        fcntl.flock(os.open(self.file, os.O_RDWR), fcntl.LOCK_EX)


def open_to_others(place: Place) -> None:
    place.file.touch()
    place.file.chmod(0o666)


# What is done, and the error. The texts are in the table of docs/reference/records.md.
FAILS: dict[str, tuple[Callable[[Place], object], str]] = {
    "disk full": (lambda p: p.fail_write(errno.ENOSPC), "No space left on device"),
    "disk full in the middle": (Place.write_part, "only part of the record could be written"),
    "quota": (lambda p: p.fail_write(errno.EDQUOT), "Disk quota exceeded"),
    "I/O error": (lambda p: p.fail_write(errno.EIO), "Input/output error"),
    "read-only": (lambda p: p.fail_open(errno.EROFS), "Read-only file system"),
    "no directory": (lambda p: p.file.parent.rmdir(), "No such file or directory"),
    "open to others": (open_to_others, "can be written by others"),
    "syslog gone": (lambda p: os.unlink(p.log.getsockname()), "syslog "),
    "syslog does not read": (Place.fill_log, "syslog "),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    place = Place(tmp_path, monkeypatch)
    yield place
    place.log.close()


REQUEST = SessionRequest("i-1")


@pytest.mark.parametrize("chain", [False, True], ids=["plain", "chained"])
@pytest.mark.parametrize("name", FAILS)
def test_failure_starts_nothing_if_records_are_required(
    place: Place, name: str, chain: bool
) -> None:
    fail, words = FAILS[name]
    recorder = place.recorder(chain)
    fail(place)
    permit = Permit(REQUEST)
    attempt = SimulationAttempt(REQUEST, (), (), permit)

    with pytest.raises(RecordNotWritten, match=r"record\.required is set") as decided:
        recorder.decision(None, attempt, permit)
    with pytest.raises(RecordNotWritten, match=r"record\.required is set") as started:
        recorder.start(None, REQUEST, "s-1")
    assert words in str(decided.value)
    assert words in str(started.value)


def test_held_lock_starts_nothing_if_records_are_required(place: Place) -> None:
    place.hold_lock()

    with pytest.raises(RecordNotWritten, match="another process has locked it"):
        place.recorder(True).start(None, REQUEST, "s-1")


def nothing(_place: Place) -> None:
    pass


def rotate(place: Place) -> None:
    place.file.rename(place.file.with_name("records.1"))


FORGED = '"}\n{"event": "start", "session_id": "forged"}'
# What is done before a second record, and its target.
GOES_ON: dict[str, tuple[Callable[[Place], object], str]] = {
    "rotated away": (rotate, "i-1"),
    "removed": (lambda p: p.file.unlink(), "i-1"),
    "over-long": (nothing, "x" * 1_000_000),
    "binary": (nothing, "".join(map(chr, range(256))) + "\ud800\u2028"),
    "forged": (nothing, FORGED),
}


@pytest.mark.parametrize("chain", [False, True], ids=["plain", "chained"])
@pytest.mark.parametrize("name", GOES_ON)
def test_record_with_failures_is_one_line(place: Place, name: str, chain: bool) -> None:
    happen, target = GOES_ON[name]
    recorder = place.recorder(chain)
    recorder.start(None, REQUEST, "s-1")
    happen(place)
    recorder.start(None, SessionRequest(target), "s-2")

    text = place.file.read_bytes().splitlines()[-1]
    assert len(text) <= LARGEST
    assert all(0x20 <= byte < 0x7F for byte in text)
    record = json.loads(text)
    assert record["session_id"] == "s-2"
    assert record["target"] == target or record["target"].startswith(target[:1000])
    if chain:
        paths = (place.file.with_name("records.1"), place.file)
        lines = [
            Line(str(path), number, line)
            for path in paths if path.exists()
            for number, line in enumerate(path.read_bytes().splitlines(), 1)
        ]  # fmt: skip
        assert verify(lines).findings == []


def test_200_writers_without_chain_lose_and_mix_nothing(place: Place) -> None:
    pids = []
    for writer in range(200):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                recorder = Recorder(Records(str(place.file), required=True), {})
                for number in range(3):
                    recorder.start(None, REQUEST, f"s-{writer}-{number}")
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 200

    lines = [line for line in place.file.read_bytes().splitlines() if line]
    seen = {json.loads(line)["session_id"] for line in lines}
    assert len(lines) == len(seen) == 600


def test_reference_lists_each_failure() -> None:
    """The table of the page has a row for each row here, with the same name."""
    section = REFERENCE.read_text().partition("## What goes wrong")[2].partition("\n## ")[0]
    rows = {line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")}

    assert rows >= {*FAILS, *GOES_ON, "another process holds the lock", "200 concurrent writers"}
