"""The entry points: dispatch, and the only place of the start path that prints and exits."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ssmgate.core.errors import GateError


def ssm_start_session() -> NoReturn:
    """`ssm-start-session ARGS…`: exactly `aws ssm start-session ARGS…`, checked."""
    run(["ssm", "start-session", *sys.argv[1:]])


def ssmgate() -> NoReturn:
    """`ssmgate VERB …`: start-session goes straight to the gate, all else to the other verbs."""
    if sys.argv[1:2] == ["start-session"]:
        run(["ssm", "start-session", *sys.argv[2:]])
    if sys.argv[1:2] == ["complete"] and sys.argv[2:3] not in (["--help"], ["-h"]):
        complete()
    if sys.argv[1:2] == ["shim"] and len(sys.argv) >= 4:  # what bin/aws calls
        run(sys.argv[4:], shim=(sys.argv[2], sys.argv[3]))
    if sys.argv[1:2] == ["login"]:
        login(sys.argv[2:])
    from ssmgate.cli.main import main
    from ssmgate.core.errors import GateError

    try:
        main(prog_name="ssmgate")
    except GateError as error:
        _show(error, dict(os.environ))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        _defect(error, debug="--debug" in sys.argv)
        raise SystemExit(255) from None
    raise SystemExit


def complete() -> NoReturn:
    """`ssmgate complete …`: quick and silent, as somebody has pressed TAB."""
    try:
        from ssmgate.cli import complete as completion

        lines = completion.complete(sys.argv[2:])
        code = 252 if lines is None else 0
        sys.stdout.write("".join(f"{line}\n" for line in lines or ()))
    except KeyboardInterrupt:
        code = 130
    except Exception:
        code = 255
    _exit(code)


def run(argv: list[str], shim: tuple[str, str] | None = None) -> NoReturn:
    """Start a session from `argv`, the words after `aws`, or exit.

    `shim`: the folder of the `aws` that was called and the path of the real one, for a line that
    may be any of the CLI's.

    stdout is the plugin's, under ProxyCommand ssh's wire: only help, skeletons and --version
    print there. After the plugin took over, its status is this process's.
    """

    def begin(environ: dict[str, str]) -> int:
        from ssmgate.gate import go_through, start

        if shim is None:
            return start(argv, environ, tell=_tell)
        folder, real = shim
        return go_through(argv, environ, tell=_tell, shim_folder=folder, real_aws=real)

    _run(begin, debug=any(len(word) > 2 and "--debug".startswith(word) for word in argv))


def login(arguments: list[str]) -> NoReturn:
    """`ssmgate login`: a person on a bastion, who may start sessions and nothing else."""

    def begin(environ: dict[str, str]) -> int:
        from ssmgate.login.entry import login

        return login(arguments, environ, tell=_tell)

    _run(begin, debug=False)


def _run(begin: Callable[[dict[str, str]], int], *, debug: bool) -> NoReturn:
    # A start allocates and ends: collecting in between cost a tenth of its time.
    gc.disable()
    # Before awscli adds to it: this is what the plugin gets.
    environ = dict(os.environ)
    try:
        # Inside, as importing takes long enough for a Ctrl-C.
        from ssmgate.core.errors import GateError
        from ssmgate.host import signals
    except KeyboardInterrupt:
        _exit(130)
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
        _tell("")
        code = 130
    except signals.Interrupted as interrupted:
        if isinstance(interrupted.__cause__, GateError):
            _show(interrupted.__cause__, environ)
        _tell_all(_extras(interrupted))
        if interrupted.number != signals.INTERRUPT:
            signals.die_of(interrupted.number)
        _tell("")
        code = 130
    except Exception as error:
        _defect(error, debug)
        code = 255
    _exit(code)


def _show(error: GateError, environ: dict[str, str]) -> None:
    """Print an error as AWS CLI v2 prints it, with our name, then what we add."""
    error_format = error.error_format or environ.get("AWS_CLI_ERROR_FORMAT", "")
    if error_format in ("json", "yaml"):  # JSON is YAML
        shown: dict[str, object] = {"Code": error.error_code, "Message": error.details}
        notes = [*error.notes, *_extras(error)]
        shown |= {"Notes": notes} if notes else {}
        shown |= {"Hints": error.hints} if error.hints else {}
        _tell(json.dumps(shown, indent=4))
        return
    if error.preamble:
        _tell(error.preamble)
    text = error.message if error_format == "legacy" else error.text
    if error_format == "text" and error.error_code:
        _tell(f"{error.error_code}\t{error.details}")
    else:
        _tell(f"\nssmgate: [ERROR]: {text.strip()}")
    _tell_all([*error.notes, *_extras(error)])
    for hint in error.hints:
        _tell(f"ssmgate: hint: {hint}")


def _extras(error: BaseException) -> list[str]:
    """What went wrong besides, on the way out."""
    return [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]


def _tell_all(notes: list[str]) -> None:
    for note in notes:
        _tell(f"ssmgate: {note}")


def _tell(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # closed or full: nobody listens; the status still tells


def _defect(error: Exception, debug: bool) -> None:
    _tell(f"\nssmgate: [ERROR]: {type(error).__name__}: {error}")
    if debug:
        _traceback()
    else:
        _tell("ssmgate: hint: this is a defect of ssmgate; --debug shows where")


def _traceback() -> None:
    import traceback

    with contextlib.suppress(OSError, ValueError):
        traceback.print_exc()


def _exit(code: int) -> NoReturn:
    """Leave without the interpreter's farewell, which takes longer than some refusals."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        code = code or 255
    os._exit(code)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` looks into the current folder first: whoever owns that would be imported.
        del sys.path[0]
    ssmgate()
