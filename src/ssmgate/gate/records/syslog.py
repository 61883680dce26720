"""Send a record to the system's log: natively to systemd-journald, or as a syslog message.

The record itself is the text of the message in each format. The journal and RFC 5424 also take some
of its members as fields, by which readers can search.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from ssmgate.gate.config.load import Records

JOURNAL_SOCKET = "/run/systemd/journal/socket"

MESSAGE_IDS = {
    "decision": "6a4bfb0bd9a64f7c9b3ce5d4a8a0c1f1",
    "start": "0f0f7a2f3b7b4f6b8a6f0f5c2a9d4e12",
    "end": "b7c5d8e4a1f24c3db1f6e09c5d7a8b23",
}
"""The journal's MESSAGE_ID of each event. `src/ssmgate/records/ssmgate.catalog` explains them."""

_SOCKETS = ("/dev/log", "/var/run/syslog")
_SECONDS = 5
# RFC 5424, section 6.2.1: facility authpriv, severity informational and warning.
_FACILITY, _INFORMATIONAL, _WARNING = 10, 6, 4
# The enterprise number that RFC 5612 reserves for examples: ssmgate has none.
_SD_ID = "ssmgate@32473"


def send(records: Records, line: bytes, notable: bool) -> str:
    """Send `line`, a record, as `records` wants it. Return the error, empty if there is none.

    `notable` gives it the severity "warning".
    """
    where, native = address(records)
    severity = _WARNING if notable else _INFORMATIONAL
    if native:
        message = _journal(line, severity)
    elif records.syslog_format == "rfc5424":
        message = _rfc5424(line, severity)
    else:
        stamp = time.strftime("%b %e %H:%M:%S").encode()
        priority = _FACILITY * 8 + severity
        message = b"<%d>%s ssmgate[%d]: %s" % (priority, stamp, os.getpid(), line)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(_SECONDS)
            log.connect(where)
            log.send(message)
    except OSError as error:
        return f"{'journal' if native else 'syslog'} ({where}): {error.strerror or error}"
    return ""


def address(records: Records) -> tuple[str, bool]:
    """Return the path of the socket, and whether it is sent to in the journal's own format.

    With the format "auto" that is so if journald runs, and no socket is configured.
    """
    path = records.syslog if isinstance(records.syslog, str) else None
    if records.syslog_format == "journald":
        return path or JOURNAL_SOCKET, True
    if records.syslog_format == "auto" and path is None and os.path.exists(JOURNAL_SOCKET):
        return JOURNAL_SOCKET, True
    default = next((name for name in _SOCKETS if os.path.exists(name)), _SOCKETS[0])
    return path or default, False


def _fields(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the members by which records are searched, without those that are not there."""
    caller = record.get("caller")
    unix = record.get("unix")
    found = {
        "event": record.get("event"),
        "decision_id": record.get("decision_id"),
        "session_id": record.get("session_id"),
        "verdict": record.get("verdict"),
        "user": unix.get("user") if isinstance(unix, dict) else None,
        "caller": caller.get("arn") if isinstance(caller, dict) else None,
        "target": record.get("target"),
        "document": record.get("document"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _journal(line: bytes, severity: int) -> bytes:
    """Return `line` in the journal's own format. Each value has its length before it.

    https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
    """
    record = json.loads(line)
    fields = {
        "MESSAGE": line,
        "PRIORITY": b"%d" % severity,
        "SYSLOG_FACILITY": b"%d" % _FACILITY,
        "SYSLOG_IDENTIFIER": b"ssmgate",
        "SYSLOG_PID": b"%d" % os.getpid(),
    }
    if message_id := MESSAGE_IDS.get(str(record.get("event"))):
        fields["MESSAGE_ID"] = message_id.encode()
    for name, value in _fields(record).items():
        fields[f"SSMGATE_{name.upper()}"] = value.encode("utf-8", "backslashreplace")
    return b"".join(
        name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        for name, value in fields.items()
    )


def _rfc5424(line: bytes, severity: int) -> bytes:
    """Return `line` as a message of RFC 5424, with structured data in ASCII.

    https://www.rfc-editor.org/rfc/rfc5424#section-6
    """
    record = json.loads(line)
    host = str(record.get("host") or "-").encode("ascii", "ignore").decode()
    parameters = "".join(
        # JSON escapes quotes and backslashes as the RFC demands, and everything unprintable.
        f' {name}="{json.dumps(value)[1:-1].replace("]", chr(92) + "]")}"'
        for name, value in _fields(record).items()
    )
    head = (
        f"<{_FACILITY * 8 + severity}>1 {record.get('time') or '-'} {host.replace(' ', '') or '-'}"
        f" ssmgate {os.getpid()} {record.get('event') or '-'} [{_SD_ID}{parameters}] "
    )
    return head.encode() + line
