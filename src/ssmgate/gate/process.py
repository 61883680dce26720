"""A process that starts a session, or decides that none may start: its errors and its end."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ssmgate.gate import exits, printer

if TYPE_CHECKING:
    from ssmgate.gate.decision.errors import GateError

LAST_WORDS_SECONDS = 1
"""How long messages after a signal may take, where standard error is not read."""

Explain = Callable[["GateError"], object]
"""Adds an explanation to an error before it is printed. It may fail, and changes nothing else."""


def run(
    begin: Callable[[dict[str, str]], int], *, explain: Explain | None = None, debug: bool = False
) -> NoReturn:
    """Call `begin` with the environment as this process found it, and exit with its status.

    `explain` and `debug` as for `ended`.
    """
    # A start allocates and ends: collecting in between cost a tenth of its time.
    gc.disable()
    # Before awscli adds to it: this is what the plugin gets.
    environ = dict(os.environ)
    try:
        status = ended(begin, environ, explain=explain, debug=debug)
    except Exception as error:
        print_defect(error, debug=debug)
        status = exits.OTHER
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
        # Inside, as importing takes long enough for a Ctrl-C.
        from ssmgate.gate.decision.errors import GateError
        from ssmgate.gate.system import signals
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    try:
        status = begin(environ)
        if sys.stdout:  # None where the descriptor is closed
            sys.stdout.flush()
    except GateError as error:
        _explain(error, explain)
        print_error(error, environ)
        if debug:
            _traceback()
        status = error.exit_code
    except KeyboardInterrupt:
        printer.eprint("")
        status = exits.INTERRUPTED
    except signals.Interrupted as interrupted:
        # Whoever sent the signal waits for the end, and not for a full pipe to be read.
        with contextlib.suppress(signals.TimeLimitExceeded), signals.time_limit(LAST_WORDS_SECONDS):
            if isinstance(interrupted.__cause__, GateError):
                print_error(interrupted.__cause__, environ)
            _print_notes(_extras(interrupted))
            if interrupted.number == signals.INTERRUPT:
                printer.eprint("")
        status = (
            exits.INTERRUPTED if interrupted.number == signals.INTERRUPT else -interrupted.number
        )
    return status


def _explain(error: GateError, explain: Explain | None) -> None:
    """The error is certain: whatever happens here, Ctrl-C included, it is what is printed."""
    from ssmgate.gate.system import signals

    if explain is None or error.evidence is None:
        return
    with contextlib.suppress(Exception, KeyboardInterrupt, signals.TimeLimitExceeded):
        explain(error)


def print_error(error: GateError, environ: dict[str, str]) -> None:
    """Print an error as AWS CLI v2 prints it, with our name, then what we add."""
    from ssmgate.gate.decision.access_errors import AccessError

    error_format = error.error_format or environ.get("AWS_CLI_ERROR_FORMAT", "")
    if isinstance(error, AccessError):
        from ssmgate.gate.decision import denial_text

        how = denial_text.form(error, error_format, terminal=os.isatty(2))
        printer.eprint(printer.Layout(denial_text.render(error, how, _extras(error))))
        return
    if error_format in ("json", "yaml"):  # JSON is YAML
        shown: dict[str, object] = {"Code": error.error_code, "Message": error.details}
        notes = [*error.notes, *_extras(error)]
        shown |= {"Notes": notes} if notes else {}
        shown |= {"Hints": error.hints} if error.hints else {}
        printer.eprint(printer.Layout(json.dumps(shown, indent=4)))
        return
    if error.preamble:
        printer.eprint(printer.Layout(error.preamble))
    if error_format == "text" and error.error_code:
        code, details = map(printer.message, (error.error_code, error.details))
        printer.eprint(printer.Layout(f"{code}\t{details}"))
    else:
        _print_error(error.message if error_format == "legacy" else error.text)
    _print_notes([*error.notes, *_extras(error)])
    for hint in error.hints:
        printer.eprint(f"ssmgate: hint: {hint}")


def _extras(error: BaseException) -> list[str]:
    """What went wrong besides, on the way out."""
    return [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        printer.eprint(f"ssmgate: {note}")


def _print_error(text: str) -> None:
    """The line that says what went wrong, with an empty one before it."""
    kept = printer.Layout(text.strip()) if isinstance(text, printer.Layout) else text.strip()
    printer.eprint(printer.Layout(f"\nssmgate: [ERROR]: {printer.message(kept)}"))


def print_defect(error: Exception, *, debug: bool) -> None:
    _print_error(f"{type(error).__name__}: {error}")
    if debug:
        _traceback()
    else:
        printer.eprint("ssmgate: hint: this is a defect of ssmgate; --debug shows where")


def _traceback() -> None:
    import traceback

    printer.eprint(printer.message(printer.Layout(traceback.format_exc().removesuffix("\n"))))


def leave(status: int) -> NoReturn:
    """Leave without the interpreter's farewell, which takes longer than some refusals."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        status = status or exits.OTHER
    os._exit(status)
