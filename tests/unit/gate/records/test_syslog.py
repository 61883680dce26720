"""What is sent to the system's log, in each format, and to a real journald and rsyslogd."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.needs import needs
from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records import syslog
from ssmgate.gate.records.writer import Recorder

CATALOG = Path(__file__).parents[4] / "src" / "ssmgate" / "records" / "ssmgate.catalog"
JOURNALD = "/lib/systemd/systemd-journald"
HOSTILE = 'x"]\\\n<13>1 forged\x00\x1b\u202e\ud800'


@pytest.fixture
def log(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "syslog"))
        server.settimeout(5)
        yield server


def sent(log: socket.socket, form: str, target: str = "i-1") -> bytes:
    records = Records(syslog=log.getsockname(), syslog_format=form)
    assert Recorder(records, {}).start(None, SessionRequest(target), "s-1") == ""
    return log.recv(1 << 16)


def journal_fields(message: bytes) -> dict[str, bytes]:
    """Parse the journal's format, as journald does."""
    fields = {}
    while message:
        name, _, message = message.partition(b"\n")
        length = int.from_bytes(message[:8], "little")
        fields[name.decode()] = message[8 : 8 + length]
        assert message[8 + length : 9 + length] == b"\n"
        message = message[9 + length :]
    return fields


@pytest.mark.parametrize("target", ["i-1", HOSTILE])
def test_journal_gets_fields_and_record(log: socket.socket, target: str) -> None:
    fields = journal_fields(sent(log, "journald", target))

    record = json.loads(fields["MESSAGE"])
    assert (record["event"], record["target"]) == ("start", target)
    assert fields["MESSAGE_ID"].decode() == syslog.MESSAGE_IDS["start"]
    assert fields["SSMGATE_SESSION_ID"] == b"s-1"
    assert fields["SSMGATE_TARGET"] == target.encode("utf-8", "backslashreplace")
    assert (fields["PRIORITY"], fields["SYSLOG_FACILITY"]) == (b"6", b"10")
    assert fields["SYSLOG_IDENTIFIER"] == b"ssmgate"


PARAMETER = r'([a-z_]+)="((?:[^"\\\]]|\\.)*)"'
MESSAGE = re.compile(
    rf"<86>1 (\d{{4}}-\d\d-\d\dT[0-9:.]+Z) (\S+) ssmgate \d+ start"
    rf" \[ssmgate@32473((?: {PARAMETER})*)\] (\{{.*\}})"
)


@pytest.mark.parametrize("target", ["i-1", HOSTILE])
def test_rfc5424_has_structured_data(log: socket.socket, target: str) -> None:
    text = sent(log, "rfc5424", target).decode("ascii")

    found = MESSAGE.fullmatch(text)
    assert found
    assert text.isprintable()
    parameters = dict(re.findall(PARAMETER, found[3]))
    assert parameters["session_id"] == "s-1"
    assert json.loads(f'"{parameters["target"]}"'.replace("\\]", "]")) == target
    assert json.loads(found[6])["target"] == target


@pytest.mark.parametrize("form", ["auto", "rfc3164"])
def test_writes_rfc3164_to_configured_socket(log: socket.socket, form: str) -> None:
    assert re.match(rb"<86>\w{3} .{11} ssmgate\[\d+\]: \{", sent(log, form))


@pytest.mark.parametrize(
    ("form", "runs", "expected"),
    [
        ("auto", True, ("journal", True)),
        ("auto", False, ("/dev/log", False)),
        ("journald", False, ("journal", True)),
        ("rfc3164", True, ("/dev/log", False)),
        ("rfc5424", True, ("/dev/log", False)),
    ],
)
def test_auto_selects_running_journal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    runs: bool,
    expected: tuple[str, bool],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(syslog, "JOURNAL_SOCKET", "journal")
    monkeypatch.setattr(syslog, "_SOCKETS", ("/dev/log",))
    if runs:
        Path("journal").touch()

    assert syslog.address(Records(syslog=True, syslog_format=form)) == expected


def test_missing_journal_is_error(tmp_path: Path) -> None:
    records = Records(syslog=str(tmp_path / "none"), syslog_format="journald")
    problem = Recorder(records, {}).start(None, SessionRequest("i-1"), "s-1")

    assert problem == f"journal ({tmp_path}/none): No such file or directory"


def test_catalog_explains_each_event() -> None:
    ids = re.findall(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), re.MULTILINE)
    assert sorted(ids) == sorted(syslog.MESSAGE_IDS.values())
    members = set(re.findall("@SSMGATE_([A-Z_]+)@", CATALOG.read_text()))
    assert members <= {name.upper() for name in syslog._fields({})} | {
        "EVENT", "DECISION_ID", "SESSION_ID", "VERDICT", "USER", "CALLER", "TARGET", "DOCUMENT",
    }  # fmt: skip


# Real daemons, as root, in a mount namespace with a /run of their own.

WRITE = """
import sys
from ssmgate.gate.config.load import Records
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.records.writer import Recorder
records = Records(syslog=sys.argv[1], syslog_format=sys.argv[2], required=True)
one = Recorder(records, {})
one.start(None, SessionRequest(sys.argv[3]), "s-1")
one.write("end", {"session_id": "s-1", "exit_code": 0}, notable=True)
"""

WITH_JOURNALD = f"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
[ -s /etc/machine-id ] || {{
    echo 0123456789abcdef0123456789abcdef > /run/id; mount --bind /run/id /etc/machine-id
}}
{JOURNALD} & daemon=$!
trap 'kill $daemon; wait' EXIT
for _ in $(seq 300); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
"$PYTHON" -c "$WRITE" {syslog.JOURNAL_SOCKET} journald "$TARGET"
"$PYTHON" -c "$WRITE" /run/systemd/journal/dev-log rfc3164 i-2
for _ in $(seq 300); do
    journalctl -D /run/log/journal -o json -t ssmgate > /run/out || true
    [ "$(wc -l < /run/out)" -ge 4 ] && break; sleep 0.1
done
cat /run/out
"""

WITH_RSYSLOGD = """
set -e
mount -t tmpfs tmpfs /run
cat > /run/rsyslog.conf <<CONF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/run/log.sock" UseSpecialParser="off")
template(name="fields" type="list") {
    property(name="syslogfacility-text") constant(value=" ")
    property(name="syslogseverity-text") constant(value=" ")
    property(name="app-name") constant(value=" ") property(name="msgid") constant(value=" ")
    property(name="structured-data") constant(value="\\t")
    property(name="msg") constant(value="\\n")
}
*.* action(type="omfile" file="/run/out" template="fields")
CONF
rsyslogd -n -f /run/rsyslog.conf -i /run/pid & daemon=$!
trap 'kill $daemon; wait' EXIT
for _ in $(seq 300); do [ -S /run/log.sock ] && break; sleep 0.1; done
"$PYTHON" -c "$WRITE" /run/log.sock rfc5424 "$TARGET"
"$PYTHON" -c "$WRITE" /run/log.sock rfc3164 i-2
for _ in $(seq 300); do
    [ -f /run/out ] && [ "$(wc -l < /run/out)" -ge 4 ] && break; sleep 0.1
done
cat /run/out
"""

TARGET = 'i-"]\\\n<13>forged'
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a log daemon")


def run(script: str) -> str:
    environ = {**os.environ, "PYTHON": sys.executable, "WRITE": WRITE, "TARGET": TARGET}
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], env=environ, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@as_root
@needs("journalctl")
def test_real_journald_takes_records() -> None:
    entries: list[dict[str, Any]] = [json.loads(line) for line in run(WITH_JOURNALD).splitlines()]

    start, end, plain, _ = entries
    assert json.loads(start["MESSAGE"])["target"] == start["SSMGATE_TARGET"] == TARGET
    assert start["MESSAGE_ID"] == syslog.MESSAGE_IDS["start"]
    assert (start["PRIORITY"], end["PRIORITY"]) == ("6", "4")
    assert start["SYSLOG_FACILITY"] == plain["SYSLOG_FACILITY"] == "10"
    assert end["SSMGATE_SESSION_ID"] == "s-1"
    assert json.loads(plain["MESSAGE"])["target"] == "i-2"


@as_root
@needs("rsyslogd")
def test_real_rsyslogd_takes_records() -> None:
    lines = [line.split("\t", 1) for line in run(WITH_RSYSLOGD).splitlines()]

    (start, text), (end, _), (plain, plain_text), _ = lines
    assert start.startswith('authpriv info ssmgate start [ssmgate@32473 event="start" ')
    assert 'session_id="s-1"' in start
    assert end.startswith("authpriv warning ssmgate end [ssmgate@32473 ")
    assert json.loads(text)["target"] == TARGET
    assert plain.startswith("authpriv info ssmgate - -")
    assert json.loads(plain_text)["target"] == "i-2"
