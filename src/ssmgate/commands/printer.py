"""Print for the verbs: no other module of theirs calls click's `echo`."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import IO, Any, NoReturn

import click

from ssmgate.gate import exits, printer
from ssmgate.gate.decision import printable

# The escapes of `explain.text.Style`: three colours, and the reset.
_COLOURS = re.compile(r"(\x1b\[(?:3[123]|0)m)")

# An error since click 8.2, with the help as its message.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Unprintable(click.ClickException):
    """Output for a program has characters that cannot be printed. Exits 253."""

    exit_code = exits.CONFIGURATION

    def __init__(self) -> None:
        super().__init__("nothing is printed: a path or a value has unprintable characters")


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line. Unprintable characters and line breaks in `text` are escaped."""
    _print(printable.line(text), err=err)


def echo_lines(
    text: str, *, err: bool = False, file: IO[Any] | None = None, colour: bool = False
) -> None:
    """Print `text` with its line breaks and tabs; other unprintable characters are escaped.

    Values in `text` must already be single lines (`printable.line`). With `colour`, the colours
    of the three answers are printed, even without a terminal. `file` replaces standard output
    or, with `err`, standard error.
    """
    if colour:
        parts = _COLOURS.split(text)
        parts[::2] = map(printable.lines, parts[::2])
        text = "".join(parts)
    else:
        text = printable.lines(text)
    _print(text, err=err, file=file, colour=colour)


def echo_exactly(text: str) -> None:
    """Print `text` for a program, such as shell code, unchanged.

    Raises `Unprintable` if characters would have to be escaped, which changes the meaning.
    """
    if printable.lines(text) != text:
        raise Unprintable
    try:
        click.echo(text, nl=not text.endswith("\n"))
    except UnicodeEncodeError:
        raise Unprintable from None


def _print(
    text: str, *, err: bool, file: IO[Any] | None = None, colour: bool | None = None
) -> None:
    if printer.erase is not None:
        printer.erase()
    try:
        click.echo(text, file, err=err, color=colour)
    except UnicodeEncodeError as error:  # before anything was written
        text = printable.encodable(text, error.encoding)
        click.echo(text, file, err=err, color=colour)


class Group(click.Group):
    """The top-level command, which also prints the errors that click raises."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a verb as click does, and exit with the exit statuses of AWS CLI v2.

        The status is 252 for an invalid command line, 130 for an interrupt, and 255 for errors
        without a status of their own.
        """
        if sys.stdout is None:  # the descriptor is closed: let writing fail, as for other causes
            unwritable = os.open(os.devnull, os.O_RDONLY)
            sys.stdout = io.TextIOWrapper(io.FileIO(unwritable, "w", closefd=False))
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.Abort:  # Ctrl-C; click has printed a line break
            status = exits.INTERRUPTED
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        sys.exit(status if isinstance(status, int) else 0)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Make the context as click does. Raises `_Printed` for an invalid command line."""
        with _printed():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the verb as click does. Raises `_Printed` for a `ClickException` of the verb."""
        with _printed():
            return super().invoke(ctx)


class _Printed(click.ClickException):
    """An error of click or of a verb that this module prints."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.message)
        self._error = error
        usage, other = isinstance(error, click.UsageError), error.exit_code == 1
        status = exits.USAGE if usage else exits.OTHER if other else error.exit_code
        self.exit_code = status  # type: ignore[misc] # click's exit status

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error in its own form, with unprintable characters escaped."""
        output = io.StringIO()
        self._error.show(output)
        echo_lines(output.getvalue().removesuffix("\n"), err=True)


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    try:
        yield
    except (_Printed, _OutputFailed):
        raise
    except click.ClickException as error:
        if not isinstance(error, _HELP):
            one_line(error)
        raise _Printed(error) from error
    except OSError as error:
        if not _is_about_output(error):
            raise
        raise _OutputFailed(error) from error


class _OutputFailed(click.ClickException):
    """Standard output is full, closed, or a pipe that is no longer read. Exits 255."""

    exit_code = exits.OTHER

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror}")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error, and discard what could not be written."""
        printer.eprint(f"ssmgate: [ERROR]: {self.message}")
        # Otherwise flushing the buffer fails again when the interpreter exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _is_about_output(error: OSError) -> bool:
    """Return whether `error` was raised while click printed: its help, or text of a verb."""
    if isinstance(error, BrokenPipeError):
        return True
    return any(
        frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def one_line(error: click.ClickException) -> None:
    """Make the message of `error` one printable line, unless it is a `Layout`."""
    error.message = printable.Layout(printable.message(error.message))  # type: ignore[misc]
