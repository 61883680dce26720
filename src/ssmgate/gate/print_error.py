"""Print an error that ends a process on standard error."""

from __future__ import annotations

import contextlib
import json
import os

from ssmgate.gate import exits, printer
from ssmgate.gate.decision import printable, tokens
from ssmgate.gate.decision.access_errors import AccessError
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.system import signals

LAST_WORDS_SECONDS = 1
"""How long messages after a signal may take, where standard error is not read."""


def print_error(error: GateError, environ: dict[str, str], *, debug: bool = False) -> None:
    """Print an error as AWS CLI v2 does, but with ssmgate's name, then notes and hints.

    `environ` has the environment variable for the format. `debug` adds a traceback.
    """
    _print_gate_error(error, environ)
    if debug:
        _traceback()


def _print_gate_error(error: GateError, environ: dict[str, str]) -> None:
    error_format = (error.error_format or environ.get("AWS_CLI_ERROR_FORMAT", "")).lower()
    if isinstance(error, AccessError):
        from ssmgate.gate.decision import denial_text

        how = denial_text.form(error, error_format, terminal=os.isatty(2))
        if how is denial_text.Form.STRUCTURED:
            _print_structured(denial_text.members(error), error, error_format)
        else:
            printer.eprint(printable.Layout(denial_text.render(error, how, _extras(error))))
        return
    # As AWS CLI v2, which prints errors without a code as they are.
    if error.error_code and error_format in ("json", "yaml", "table"):
        shown: dict[str, object] = {"Code": error.error_code, "Message": error.details}
        _print_structured(shown, error, error_format)
        return
    if error.preamble:
        printer.eprint(printable.Layout(error.preamble))
    if error_format == "text" and error.error_code:
        code, details = map(printable.message, (error.error_code, error.details))
        printer.eprint(printable.Layout(f"{code}\t{details}"))
    else:
        _print_error(error.message if error_format == "legacy" else error.text)
    _print_lines([*error.notes, *_extras(error)])
    for hint in error.hints:
        printer.eprint(f"ssmgate: hint: {hint}")


def _print_structured(shown: dict[str, object], error: GateError, error_format: str) -> None:
    """Print `shown` and the notes and hints of `error` as JSON, YAML or a table."""
    notes = [*error.notes, *_extras(error)]
    shown |= {"Notes": notes} if notes else {}
    shown |= {"Hints": [*error.hints]} if error.hints else {}
    if error_format == "json":
        text = json.dumps(shown, indent=4)
    else:
        from ssmgate.gate.argv import error_formats

        text = getattr(error_formats, error_format)(shown)
    printer.eprint(printable.Layout(text))


def _extras(error: BaseException) -> list[str]:
    """Return the notes about further errors."""
    return [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]


def print_interruption(interrupted: signals.Interrupted, environ: dict[str, str]) -> None:
    """Print what is to say before this process ends by a signal."""
    # The sender of the signal expects this process to end, even if standard error is full.
    with contextlib.suppress(signals.TimeLimitExceeded), signals.time_limit(LAST_WORDS_SECONDS):
        if isinstance(interrupted.__cause__, GateError):
            print_error(interrupted.__cause__, environ)
        _print_lines(_extras(interrupted))
        if interrupted.number == signals.INTERRUPT:
            printer.eprint("")


def _print_lines(notes: list[str]) -> None:
    for note in notes:
        printer.eprint(f"ssmgate: {note}")


def _print_error(text: str) -> None:
    """Print the error line, with an empty one before it."""
    error = printable.Layout(text.strip()) if isinstance(text, printable.Layout) else text.strip()
    printer.eprint(printable.Layout(f"\nssmgate: [ERROR]: {printable.message(error)}"))


def print_defect(error: Exception, *, debug: bool | None) -> int:
    """Print an exception that is a defect of ssmgate, or due to an untested release of awscli.

    `debug` adds a traceback; None if the command line has no --debug. Returns the exit status.
    """
    from ssmgate.gate.system import awscli_release

    if blamed := awscli_release.blamed(error):
        print_error(blamed, dict(os.environ), debug=bool(debug))
        return blamed.exit_code
    _print_error(f"{type(error).__name__}: {error}")
    if debug:
        _traceback()
    else:
        shown = "" if debug is None else "; --debug shows where"
        printer.eprint(f"ssmgate: hint: this is a defect of ssmgate{shown}")
    return exits.OTHER


def _traceback() -> None:
    import traceback

    # It has the texts of botocore's errors.
    text = tokens.masked(traceback.format_exc().removesuffix("\n"))
    printer.eprint(printable.message(printable.Layout(text)))
