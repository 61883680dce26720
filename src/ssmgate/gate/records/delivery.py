"""Write records to a file and to syslog. Loaded only if one of them is configured."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.records import local
from ssmgate.gate.records import members as of
from ssmgate.gate.system import trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions

if TYPE_CHECKING:
    from ssmgate.gate.records.writer import Members, Recorder

LARGEST = 8000
"""Bytes of a record: common syslog daemons truncate longer ones, in the middle of the JSON."""

SCHEMA_VERSION = 2
"""Increased if a member is removed or changes its meaning, not if one is added."""

_UNBOUNDED = ("evidence", "parameters", "request_ids")
"""Members that are null in a record that would be too long even with short texts."""

_SYSLOG_SOCKETS = ("/dev/log", "/var/run/syslog")
_SYSLOG_SECONDS = 5
# RFC 3164: facility authpriv (10), severity informational and warning.
_INFORMATIONAL, _WARNING = 10 * 8 + 6, 10 * 8 + 4


def write(recorder: Recorder, event: str, members: Members, *, notable: bool) -> str:
    """Write a record to what `recorder` configures; arguments and result as `Recorder.write`."""
    user = local.LocalUser.here(recorder.environ)
    record = {
        "schema_version": SCHEMA_VERSION,
        "event": event,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "decision_id": recorder.decision_id,
        "mode": "permissive" if recorder.permissive else "enforce",
        "unix": {
            "user": user.user,
            "uid": user.uid,
            "login_uid": user.login_uid,
            "ssh_connection": user.ssh_connection,
        },
        "host": local.host(),
        "process": local.process(recorder.pid),
        **(members(of) if callable(members) else members),
        "versions": recorder.versions,
    }
    line, records = _line(record), recorder.records
    problems = [
        _to_file(records.file, user.user, line) if records.file else "",
        _to_syslog(records.syslog, line, notable) if records.syslog else "",
    ]
    return "; ".join(problem for problem in problems if problem)


def _line(record: Mapping[str, object]) -> bytes:
    """Return `record` as one line of ASCII, shortened to at most `LARGEST` bytes."""
    for longest in (1024, 256, 64, 16):
        line = json.dumps(_clipped(record, longest)).encode("ascii")
        if len(line) <= LARGEST:
            return line
    # Nested lists are still too long: the size of the other members is bounded.
    without = {name: None for name in _UNBOUNDED if name in record}
    return json.dumps(_clipped({**record, **without}, 16)).encode("ascii")


def _clipped(value: object, longest: int) -> object:
    match value:
        case str() if len(value) > longest:
            return f"{value[:longest]}… ({len(value)} characters)"
        case list() if len(value) > longest:
            return [*(_clipped(item, longest) for item in value[:longest]), f"… ({len(value)})"]
        case list():
            return [_clipped(item, longest) for item in value]
        case dict():
            return {name: _clipped(item, longest) for name, item in value.items()}
    return value


def _to_file(path: str, user: str | None, line: bytes) -> str:
    """Append `line` with one write. Return the error, empty if there is none."""
    if USER_PLACEHOLDER in path:
        if not user or "/" in user:
            return f"{path}: this unix user has no name"
        path = path.replace(USER_PLACEHOLDER, user)
    mine = os.geteuid()
    try:
        file = trusted_open.open_trusted(
            path, os.O_RDWR | os.O_APPEND | os.O_CREAT, owners=frozenset({0, mine})
        )
    except InsecurePermissions as error:
        return f"not trusted: {error}"
    except OSError as error:
        return f"{path}: {error.strerror}"
    try:
        known = os.fstat(file)
        if known.st_uid != mine or known.st_nlink != 1 or known.st_mode & 0o077:
            return f"not trusted: {path} has another owner, another name, or is not 0600"
        # After a full disk the file may end in half a record: begin on a new line. It may also seem
        # so while another process writes: then there is a blank line. A lock would avoid that, but
        # another process could hold it.
        broken = known.st_size > 0 and os.pread(file, 1, known.st_size - 1) != b"\n"
        text = b"\n" * broken + line + b"\n"
        if os.write(file, text) != len(text):
            return f"{path}: only part of the record could be written"
    except OSError as error:
        return f"{path}: {error.strerror}"
    finally:
        os.close(file)
    return ""


def _to_syslog(where: bool | str, line: bytes, notable: bool) -> str:
    """Send `line` to the system's log. Unlike libc's syslog, return the error, empty if none."""
    address = where if isinstance(where, str) else syslog_socket()
    stamp = time.strftime("%b %e %H:%M:%S").encode()
    priority = _WARNING if notable else _INFORMATIONAL
    message = b"<%d>%s ssmgate[%d]: %s" % (priority, stamp, os.getpid(), line)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(_SYSLOG_SECONDS)
            log.connect(address)
            log.send(message)
    except OSError as error:
        return f"syslog ({address}): {error.strerror or error}"
    return ""


def syslog_socket() -> str:
    """Return the path of the system's log socket, that of Linux if there is none."""
    return next((path for path in _SYSLOG_SOCKETS if os.path.exists(path)), _SYSLOG_SOCKETS[0])
