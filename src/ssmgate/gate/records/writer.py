"""Records: one JSON object for each decision and each start, to a file and to syslog."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime

from ssmgate import __version__
from ssmgate.gate.config.load import Records
from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.decision.decision import Denial, Permit, SimulationAttempt, Unknown
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.errors import RecordNotWritten
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, ContextEntry
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial
from ssmgate.gate.system import signals, trusted_files

SCHEMA_VERSION = 1
"""Raised when a member goes or changes its meaning; a new one does not raise it."""

LARGEST = 8000
"""Bytes of a record: common syslog daemons cut what is longer, in the middle of the JSON."""

START_SECONDS = 10
"""How long the record of a start may take, while the session waits for its plugin."""

_SYSLOG_SOCKETS = ("/dev/log", "/var/run/syslog")
_SYSLOG_SECONDS = 5
# RFC 3164: facility authpriv (10), severity informational and warning.
_INFORMATIONAL, _WARNING = 10 * 8 + 6, 10 * 8 + 4
_NO_LOGIN_UID = 4294967295


@frozen
class LocalUser:
    """Who sits at this process, as the system knows it."""

    user: str | None
    uid: int
    login_uid: int | None
    ssh_connection: str | None

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> LocalUser:
        """This process's. SSH_CONNECTION is only as good as who set the environment.

        The login uid is the audit system's and survives su and sudo, None where there is none.
        """
        login_uid = None
        with contextlib.suppress(OSError, ValueError), open("/proc/self/loginuid") as file:
            login_uid = int(file.read())
        return cls(
            _name(os.getuid()),
            os.getuid(),
            None if login_uid == _NO_LOGIN_UID else login_uid,
            environ.get("SSH_CONNECTION"),
        )


@functools.cache
def _name(uid: int) -> str | None:
    """The user's name. Asked for once: a directory service may not answer when a session waits."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


@frozen
class Recorder:
    """Writes the records of one start, as `records` wants them. They share `decision_id`.

    `environ` is the caller's. `versions` may be added to when they are known.
    """

    records: Records
    environ: Mapping[str, str] = field(repr=False)
    permissive: bool = False
    decision_id: str = field(default_factory=lambda: os.urandom(16).hex())
    versions: dict[str, str] = field(default_factory=lambda: {"ssmgate": __version__})

    def decision(
        self,
        caller: Caller | None,
        look: SimulationAttempt,
        outcome: Permit | Denial | Unknown | LocalDenial,
        *,
        kept: bool = False,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record what was decided. Returns what kept it from being recorded, empty if nothing.

        `outcome` is that of `look`, or what a rule of the machine's made of it. `kept` tells that
        IAM answered an earlier start. `endpoints` are where it was asked. Raises `RecordNotWritten`
        where the record was required for what would start now.
        """
        permitted = isinstance(outcome, Permit)
        starts = permitted or self.permissive
        members = {
            "verdict": _verdict(outcome),
            "starts": starts,
            **_asked(caller, look.request),
            "endpoints": endpoints and endpoints.shown(),
            "evidence": {
                **_why(outcome),
                **({"kept": True} if kept else {}),
                "evaluations": [_evaluation(evaluation) for evaluation in look.evaluations],
                # The same for all documents but the account that owns one.
                "context": [_told(entry) for entry in look.questions[0].context]
                if look.questions
                else [],
            },
        }
        problem = self.write("decision", members, notable=not permitted)
        return self._heed(problem) if starts else problem

    def start(
        self,
        caller: Caller | None,
        request: SessionRequest,
        session_id: str,
        endpoints: Endpoints | None = None,
    ) -> str:
        """Record the session that was started. Returns and raises as `decision`."""
        members = {
            "session_id": session_id,
            **_asked(caller, request),
            "endpoints": endpoints and endpoints.shown(),
        }
        try:
            with signals.time_limit(START_SECONDS):
                problem = self.write("start", members)
        except signals.TimeLimitExceeded:
            problem = f"it took longer than {START_SECONDS} s"
        return self._heed(problem)

    def write(self, event: str, members: Mapping[str, object], *, notable: bool = False) -> str:
        """Write one record everywhere it should be. Returns what went wrong, empty if nothing.

        `members` hold no token and no credentials: they are written as they are. `notable` gives
        it syslog's severity "warning".
        """
        records = self.records
        if not (records.file or records.syslog):
            return "neither record.file nor record.syslog is set" if records.required else ""
        person = LocalUser.here(self.environ)
        record = {
            "schema_version": SCHEMA_VERSION,
            "event": event,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "decision_id": self.decision_id,
            "mode": "permissive" if self.permissive else "enforce",
            "unix": {
                "user": person.user,
                "uid": person.uid,
                "login_uid": person.login_uid,
                "ssh_connection": person.ssh_connection,
            },
            **members,
            "versions": self.versions,
        }
        line = _line(record)
        problems = [
            _to_file(records.file, person.user, line) if records.file else "",
            _to_syslog(records.syslog, line, notable) if records.syslog else "",
        ]
        return "; ".join(problem for problem in problems if problem)

    def _heed(self, problem: str) -> str:
        if problem and self.records.required:
            raise RecordNotWritten(
                f"refused: this could not be recorded, and record.required is set: {problem}"
            )
        return problem


def _verdict(outcome: Permit | Denial | Unknown | LocalDenial) -> str:
    if isinstance(outcome, Permit):
        return "yes"
    return "cannot tell" if isinstance(outcome, Unknown) else "no"


def _asked(caller: Caller | None, request: SessionRequest) -> dict[str, object]:
    return {
        "caller": caller
        and {
            "arn": caller.caller_arn,
            "account": caller.account,
            "policy_source_arn": caller.policy_source_arn,
        },
        "target": request.target,
        "document": request.document_name or DEFAULT_DOCUMENT_NAME,
        "document_named": request.document_name is not None,
        "reason": request.reason,
    }


def _evaluation(evaluation: Evaluation) -> dict[str, object]:
    return {
        "document_arn": evaluation.resource_arn,
        "decision": evaluation.eval_decision.value,
        "matched_statements": [
            {
                "policy": statement.source_policy_id,
                "policy_type": statement.source_policy_type,
                "line": statement.start[0] if statement.start else None,
            }
            for statement in evaluation.matched_statements
        ],
    }


def _told(entry: ContextEntry) -> dict[str, object]:
    return {"key": entry.key_name, "type": entry.key_type, "values": list(entry.values)}


def _why(outcome: Permit | Denial | Unknown | LocalDenial) -> dict[str, object]:
    match outcome:
        case Denial():
            return {
                "reason_code": outcome.reason_code,
                "document_arn": outcome.question.resource_arn,
                "layer": outcome.layer.value,
                "matched_policies": list(outcome.matched_policies),
                "missing_context": list(outcome.missing_context),
            }
        case Unknown():
            question = outcome.question
            return {
                "reason_code": outcome.reason_code,
                "document_arn": question.resource_arn if question else None,
                "reason": outcome.reason,
                "live_context": list(outcome.live_context),
            }
        case LocalDenial():
            return {
                "reason_code": outcome.reason_code,
                "rule": outcome.rule,
                "reason": outcome.reason,
            }
    return {"reason_code": "allowed"}


def _line(record: Mapping[str, object]) -> bytes:
    """`record` as one line of ASCII, whatever is in it, of at most `LARGEST` bytes."""
    for longest in (1024, 256, 64, 16):
        line = json.dumps(_clipped(record, longest)).encode("ascii")
        if len(line) <= LARGEST:
            return line
    # Lists within lists: what is left is bounded.
    without = {name: value for name, value in record.items() if name != "evidence"}
    return json.dumps(_clipped({**without, "evidence": None}, 16)).encode("ascii")


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
    """Append `line` with one write. Returns what went wrong."""
    if USER_PLACEHOLDER in path:
        if not user or "/" in user:
            return f"{path}: this unix user has no name"
        path = path.replace(USER_PLACEHOLDER, user)
    mine = os.geteuid()
    try:
        file = trusted_files.open_trusted(
            path, os.O_RDWR | os.O_APPEND | os.O_CREAT, owners=frozenset({0, mine})
        )
    except trusted_files.InsecurePermissions as error:
        return f"not trusted: {error}"
    except OSError as error:
        return f"{path}: {error.strerror}"
    try:
        known = os.fstat(file)
        if known.st_uid != mine or known.st_nlink != 1 or known.st_mode & 0o077:
            return f"not trusted: {path} has another owner, another name, or is not 0600"
        # After a full disk half a record may stand there: it shall not swallow this one. While
        # another process writes it may look like that too: then there is a blank line, and no lock
        # that somebody could hold.
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
    """Send `line` to the system's log. Unlike libc's syslog, returns what went wrong."""
    address = where if isinstance(where, str) else _syslog_socket()
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


def _syslog_socket() -> str:
    return next((path for path in _SYSLOG_SOCKETS if os.path.exists(path)), _SYSLOG_SOCKETS[0])
