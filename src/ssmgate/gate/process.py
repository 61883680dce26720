"""The process around a start: here alone the start path prints, and ends."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ssmgate.gate import printer

if TYPE_CHECKING:
    from ssmgate.gate.config.load import Config
    from ssmgate.gate.decision.errors import GateError

TELL_SECONDS = 1
"""How long the last words after a signal may take, where standard error is not read."""


def run(argv: list[str], shim: tuple[str, str] | None, *, start_daemon: bool = False) -> NoReturn:
    """Make the start of `argv` in this process. Everything else is as in `ssmgate.__main__.run`.

    `start_daemon`: no daemon was found; if the configuration wants one, one is started.
    """

    def begin(environ: dict[str, str]) -> int:
        from ssmgate.gate.access import early

        # Before the import of the gate, which takes as long as a round trip to AWS.
        early.connect(argv, environ)
        from ssmgate.gate.start import run_aws_line, start

        def permitted(config: Config) -> None:
            if start_daemon and config.daemon == "auto" and not config.locked:
                from ssmgate.daemon import spawn

                spawn.spawn_background_daemon(environ)

        if shim is None:
            return start(argv, environ, tell=tell, permitted=permitted)
        folder, real = shim
        return run_aws_line(
            argv, environ, tell=tell, permitted=permitted, shim_folder=folder, real_aws=real
        )

    _run(begin, debug=any(len(word) > 2 and "--debug".startswith(word) for word in argv))


def login(arguments: list[str]) -> NoReturn:
    """`ssmgate login`: a person on a bastion, who may start sessions and nothing else."""

    def begin(environ: dict[str, str]) -> int:
        from ssmgate.login.entry import login

        return login(arguments, environ, tell=tell)

    _run(begin, debug=False)


def complete(words: list[str]) -> NoReturn:
    """`ssmgate complete …`: quick and silent, as somebody has pressed TAB."""
    try:
        from ssmgate.commands import completion

        lines = completion.complete(words)
        code = 252 if lines is None else 0
        # A shell inserts what stands before the TAB: what cannot be shown is not offered.
        shown = [one for one in lines or () if printer.is_printable(one.replace("\t", "", 1))]
        sys.stdout.write("".join(f"{one}\n" for one in shown))
    except KeyboardInterrupt:
        code = 130
    except Exception:
        code = 255
    _exit(code)


def verb() -> NoReturn:
    """The other verbs."""
    from ssmgate.commands.main import main
    from ssmgate.gate.decision.errors import GateError

    try:
        main(prog_name="ssmgate")
    except GateError as error:
        _show(error, dict(os.environ))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        _defect(error, debug="--debug" in sys.argv)
        raise SystemExit(255) from None
    raise SystemExit


def _run(begin: Callable[[dict[str, str]], int], *, debug: bool) -> NoReturn:
    # A start allocates and ends: collecting in between cost a tenth of its time.
    gc.disable()
    # Before awscli adds to it: this is what the plugin gets.
    environ = dict(os.environ)
    try:
        code = ended(begin, environ, debug=debug)
    except Exception as error:
        _defect(error, debug)
        code = 255
    if code < 0:
        from ssmgate.gate.system import takeover

        takeover.die_of(-code)
    _exit(code)


def ended(
    begin: Callable[[dict[str, str]], int], environ: dict[str, str], *, debug: bool = False
) -> int:
    """Call `begin` with `environ`, and tell its error on stderr.

    Returns the exit status, or the number of the signal to die of with a minus before it. Raises
    what is no error of ours.
    """
    try:
        # Inside, as importing takes long enough for a Ctrl-C.
        from ssmgate.gate.decision.errors import GateError
        from ssmgate.gate.system import signals
    except KeyboardInterrupt:
        return 130
    try:
        code = begin(environ)
        if sys.stdout:  # None where the descriptor is closed
            sys.stdout.flush()
    except GateError as error:
        _show(error, environ)
        if debug:
            _traceback()
        code = error.exit_code
    except KeyboardInterrupt:
        tell("")
        code = 130
    except signals.Interrupted as interrupted:
        # Whoever sent the signal waits for the end, and not for a full pipe to be read.
        with contextlib.suppress(signals.TimeLimitExceeded), signals.time_limit(TELL_SECONDS):
            if isinstance(interrupted.__cause__, GateError):
                _show(interrupted.__cause__, environ)
            _tell_all(_extras(interrupted))
            if interrupted.number == signals.INTERRUPT:
                tell("")
        code = 130 if interrupted.number == signals.INTERRUPT else -interrupted.number
    return code


def _show(error: GateError, environ: dict[str, str]) -> None:
    """Print an error as AWS CLI v2 prints it, with our name, then what we add."""
    error_format = error.error_format or environ.get("AWS_CLI_ERROR_FORMAT", "")
    if error_format in ("json", "yaml"):  # JSON is YAML
        shown: dict[str, object] = {"Code": error.error_code, "Message": error.details}
        notes = [*error.notes, *_extras(error)]
        shown |= {"Notes": notes} if notes else {}
        shown |= {"Hints": error.hints} if error.hints else {}
        tell(printer.Layout(json.dumps(shown, indent=4)))
        return
    if error.preamble:
        tell(printer.Layout(error.preamble))
    if error_format == "text" and error.error_code:
        code, details = map(printer.message, (error.error_code, error.details))
        tell(printer.Layout(f"{code}\t{details}"))
    else:
        _tell_error(error.message if error_format == "legacy" else error.text)
    _tell_all([*error.notes, *_extras(error)])
    for hint in error.hints:
        tell(f"ssmgate: hint: {hint}")


def _extras(error: BaseException) -> list[str]:
    """What went wrong besides, on the way out."""
    return [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]


def _tell_all(notes: list[str]) -> None:
    for note in notes:
        tell(f"ssmgate: {note}")


def _tell_error(text: str) -> None:
    """The line that says what went wrong, with an empty one before it."""
    kept = printer.Layout(text.strip()) if isinstance(text, printer.Layout) else text.strip()
    tell(printer.Layout(f"\nssmgate: [ERROR]: {printer.message(kept)}"))


def tell(text: str) -> None:
    """Write a line to stderr, or several if `text` is a `Layout`: the start path's only way there.

    Unprintable characters are escaped, in a line its line breaks too. Does not raise.
    """
    told = printer.lines(text) if isinstance(text, printer.Layout) else printer.line(text)
    try:
        told = printer.encodable(told, getattr(sys.stderr, "encoding", None))
        sys.stderr.write(f"{told}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # closed or full: nobody listens; the status still tells


def _defect(error: Exception, debug: bool) -> None:
    _tell_error(f"{type(error).__name__}: {error}")
    if debug:
        _traceback()
    else:
        tell("ssmgate: hint: this is a defect of ssmgate; --debug shows where")


def _traceback() -> None:
    import traceback

    tell(printer.message(printer.Layout(traceback.format_exc().removesuffix("\n"))))


def _exit(code: int) -> NoReturn:
    """Leave without the interpreter's farewell, which takes longer than some refusals."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        code = code or 255
    os._exit(code)
