"""Terminate a session whose worker died before this process became the plugin."""

from __future__ import annotations

from contextlib import suppress

from ssmgate.gate import printer
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.aliases import read_line
from ssmgate.gate.aws.clients import open_clients
from ssmgate.gate.aws.start_session import TERMINATE_SECONDS, terminate_session
from ssmgate.gate.system import signals

WARNING_SECONDS = 1
"""How long the messages may take."""


def terminate(session_id: str, argv: list[str], shim: tuple[str, str] | None) -> None:
    """Terminate the session that a worker started for `argv`, the arguments after `aws`.

    `shim` as for `ssmgate.__main__.run`. The credentials are resolved again, so they may be others
    than the worker's. Prints the result. Never raises an error: the caller ends by a signal, or
    starts another session.
    """
    failure: object = "the command line cannot be parsed again"
    try:
        with signals.time_limit(TERMINATE_SECONDS):
            invocation = parse.read(argv) if shim is None else read_line(argv)
            if isinstance(invocation, parse.Invocation):
                ssm = open_clients(invocation.session, invocation.options).ssm
                failure = terminate_session(ssm, session_id)
    except signals.TimeLimitExceeded:
        failure = f"it took longer than {TERMINATE_SECONDS} s"
    except Exception as error:
        failure = error
    lines = [f"ssmgate: the daemon started session {session_id} and did not hand it over"]
    if failure is None:
        lines.append(f"ssmgate: session {session_id} was terminated")
    else:
        lines.append(f"ssmgate: session {session_id} could not be terminated: {failure}")
        lines.append(f"ssmgate: hint: aws ssm terminate-session --session-id {session_id}")
    # The signal that ends this process may be held, even if standard error is full.
    with suppress(signals.TimeLimitExceeded), signals.time_limit(WARNING_SECONDS):
        for line in lines:
            printer.eprint(line)
