"""Record the end of a session. The shell that runs the plugin executes this module afterwards:

    python -P -m ssmgate.gate.records.end FACTS STATUS

FACTS is what `facts` returns, STATUS the plugin's exit status. Nothing is loaded meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from ssmgate.gate import printer
from ssmgate.gate.config.load import Records
from ssmgate.gate.records.writer import START_SECONDS, Recorder
from ssmgate.gate.system import signals

_LONGEST = 65_536
_WARNING_SECONDS = 1
_KILLED = 128  # what sh adds to the number of a signal
_SIGNALS = 64


def command(recorder: Recorder, members: dict[str, object]) -> tuple[str, ...]:
    """Return Python, an option and FACTS for the record of the end of a session that starts now.

    `members` are those of the record that are known already. Returns nothing if they are too long.
    """
    text = json.dumps(
        {
            "began": _now(),
            "members": members,
            "records": {name: getattr(recorder.records, name) for name in Records.__match_args__},
            "ssh_connection": recorder.environ.get("SSH_CONNECTION", "")[:1024],
            "permissive": recorder.permissive,
            "decision_id": recorder.decision_id,
            "versions": recorder.versions,
            "pid": recorder.pid,
        }
    )
    isolated = "-I" if sys.flags.isolated else "-P"
    return (sys.executable, isolated, text) if len(text) <= _LONGEST else ()


def write(text: str, status: int) -> str:
    """Write the record of a plugin that ended with `status`. Return the error, empty if none.

    `text` is FACTS. Raises `ValueError`, `LookupError` or `TypeError` for any other text.
    """
    known = json.loads(text)
    environ = {"SSH_CONNECTION": known["ssh_connection"]} if known["ssh_connection"] else {}
    recorder = Recorder(
        Records(**known["records"]),
        environ,
        known["permissive"],
        known["decision_id"],
        known["versions"],
        known["pid"],
    )
    number = status - _KILLED
    return recorder.write(
        "end",
        {
            **known["members"],
            "exit_code": status,
            "signal": number if 0 < number <= _SIGNALS else None,
            "duration": round(max(0.0, _now() - known["began"]), 1),
        },
    )


def _now() -> float:
    """Return the seconds since the machine was booted, which setting the clock does not change."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def main(arguments: Sequence[str]) -> int:
    """Write the record, and a warning if that fails. The shell ignores the exit status."""
    try:
        with signals.time_limit(START_SECONDS):
            problem = write(arguments[0], int(arguments[1]))
    except (signals.TimeLimitExceeded, ValueError, LookupError, TypeError) as error:
        problem = str(error) or f"it took longer than {START_SECONDS} s"
    if problem:
        # A pipe may be full.
        with suppress(signals.TimeLimitExceeded), signals.time_limit(_WARNING_SECONDS):
            printer.warn(f"cannot write the record of the session's end: {problem}")
    return 1 if problem else 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
