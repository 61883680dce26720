"""Run a process that may start a session: print its error, and exit."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ssmgate.gate import exits, printer

if TYPE_CHECKING:
    from ssmgate.gate.decision.errors import GateError

Explain = Callable[["GateError"], object]
"""Adds an explanation to an error before it is printed. It may fail without effect."""


def run(
    begin: Callable[[dict[str, str]], int],
    *,
    explain: Explain | None = None,
    debug: bool | None = False,
) -> NoReturn:
    """Call `begin` with the environment as this process found it, and exit with its status.

    `explain` and `debug` as for `ended`; `debug` is None if the command line has no --debug.
    """
    # A start is short: garbage collection took a tenth of its time.
    gc.disable()
    # Copied before awscli adds to it: the plugin gets this.
    environ = dict(os.environ)
    try:
        status = ended(begin, environ, explain=explain, debug=bool(debug))
    except Exception as error:
        from ssmgate.gate import print_error

        status = print_error.print_defect(error, debug=debug)
    if status < 0:
        from ssmgate.gate.system import die

        die.die_of(-status)
    leave(status)


def ended(
    begin: Callable[[dict[str, str]], int],
    environ: dict[str, str],
    *,
    explain: Explain | None = None,
    debug: bool = False,
) -> int:
    """Call `begin` with `environ`, and print its error on standard error.

    `explain` gets an error of ssmgate before it is printed, `debug` adds a traceback. Returns the
    exit status, or minus the number of the signal that this process has to end by. Raises every
    error that is not a `GateError`.
    """
    try:
        # Inside `try`, as Ctrl-C may arrive while these are imported.
        from ssmgate.gate.decision.errors import GateError
        from ssmgate.gate.system import signals
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    try:
        status = begin(environ)
        if sys.stdout:  # None where the descriptor is closed
            sys.stdout.flush()
    except GateError as error:
        from ssmgate.gate import print_error

        _explain(error, explain)
        print_error.print_error(error, environ, debug=debug)
        status = error.exit_code
    except KeyboardInterrupt:
        printer.eprint("")
        status = exits.INTERRUPTED
    except signals.Interrupted as interrupted:
        from ssmgate.gate import print_error

        print_error.print_interruption(interrupted, environ)
        status = (
            exits.INTERRUPTED if interrupted.number == signals.INTERRUPT else -interrupted.number
        )
    return status


def _explain(error: GateError, explain: Explain | None) -> None:
    """Call `explain`. Whatever it raises, Ctrl-C included, `error` is printed afterwards."""
    from ssmgate.gate.system import signals

    if explain is None or error.evidence is None:
        return
    with contextlib.suppress(Exception, KeyboardInterrupt, signals.TimeLimitExceeded):
        explain(error)


def leave(status: int) -> NoReturn:
    """Exit without the interpreter's finalization, which takes longer than some denials."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        status = status or exits.OTHER
    os._exit(status)
