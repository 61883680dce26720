"""How the verbs print: the only module of theirs that calls click's `echo`."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import IO, Any, NoReturn

import click

from ssmgate.gate.decision import printable

# What `check.text.Style` writes: three colours, and their end.
_COLOURS = re.compile(r"(\x1b\[(?:3[123]|0)m)")

# Since click 8.2 an error, whose message is the help.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Unprintable(click.ClickException):
    """What a program would read has characters that cannot be printed. Exits 253."""

    exit_code = 253

    def __init__(self) -> None:
        super().__init__("nothing is printed: a path or a value has unprintable characters")


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line. Unprintable characters and line breaks in `text` are escaped."""
    _print(printable.line(text), err=err)


def echo_lines(
    text: str, *, err: bool = False, file: IO[Any] | None = None, colour: bool = False
) -> None:
    """Print `text` with its line breaks and tabs; other unprintable characters are escaped.

    The values in it have to be lines already (`printable.line`). With `colour`, the colours of
    the three answers come through, whether or not there is a terminal. `file` is printed to
    instead of stdout or, with `err`, stderr.
    """
    if colour:
        parts = _COLOURS.split(text)
        parts[::2] = map(printable.lines, parts[::2])
        text = "".join(parts)
    else:
        text = printable.lines(text)
    _print(text, err=err, file=file, colour=colour)


def echo_exactly(text: str) -> None:
    """Print what a program will read, such as shell code, as it is.

    Raises `Unprintable` where it cannot be: what is read has to be what was meant.
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
    try:
        click.echo(text, file, err=err, color=colour)
    except UnicodeEncodeError as error:  # before anything was written
        text = printable.encodable(text, error.encoding)
        click.echo(text, file, err=err, color=colour)


USAGE, INTERRUPTED, OTHER = 252, 130, 255


class Group(click.Group):
    """The top of the verbs: errors of click's that leave it are printed here as well."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a verb as click does, and exit with a status of ours where click has 1 or 2.

        A wrong command line is 252, an interrupt 130, and what has no status of its own 255, as
        with AWS CLI v2.
        """
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.Abort:  # Ctrl-C, after which click ended the line
            status = INTERRUPTED
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        sys.exit(status if isinstance(status, int) else 0)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does. Raises `_Printed` for a wrong command line."""
        with _printed():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does. Raises `_Printed` for what a verb raised for click to show."""
        with _printed():
            return super().invoke(ctx)


class _Printed(click.ClickException):
    """An error of click's, or of a verb's, that is shown through this module."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.message)
        self._error = error
        usage, other = isinstance(error, click.UsageError), error.exit_code == 1
        status = USAGE if usage else OTHER if other else error.exit_code
        self.exit_code = status  # type: ignore[misc] # what click exits with

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error as it prints itself. Words that it quotes are part of its one line."""
        told = io.StringIO()
        self._error.show(told)
        echo_lines(told.getvalue().removesuffix("\n"), err=True)


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    try:
        yield
    except _Printed:
        raise
    except click.ClickException as error:
        if not isinstance(error, _HELP):
            one_line(error)
        raise _Printed(error) from error
    except BrokenPipeError:
        # What is buffered must not fail once more when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
        raise click.exceptions.Exit(OTHER) from None


def one_line(error: click.ClickException) -> None:
    """Make the message of `error` one printable line, unless it is a `Layout`."""
    error.message = printable.Layout(printable.message(error.message))  # type: ignore[misc]
