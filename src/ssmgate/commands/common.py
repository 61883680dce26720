"""What the verbs share: how a wrong command line and a missing piece end, and where we live."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click

from ssmgate.commands.printer import echo_lines, one_line
from ssmgate.gate.decision import printable


class Problem(click.ClickException):
    """Something that the verb needs is not there. Exits 253."""

    exit_code = 253

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error as the start path does."""
        hint = printable.line(self.hint)
        text = f"ssmgate: [ERROR]: {printable.message(self.message)}\nssmgate: hint: {hint}"
        echo_lines(text, err=True, file=file)


class WrongUse(Problem):
    """The command line is not valid. Exits 252, as AWS CLI v2 does."""

    exit_code = 252


class Verb(click.Command):
    """A verb whose usage errors look and end as those of the start path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words as click does. Raises `WrongUse`."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            one_line(error)  # click's list of choices is on lines of its own
            told = printable.Layout(error.format_message())
            raise WrongUse(told, f"{ctx.command_path} --help") from error


def installed(program: str) -> str:
    """The absolute path of one of our own programs, as stable as it can be told.

    That is beside the program that was called, as it was called: a link of pipx's outlives an
    upgrade, what it leads to need not. Else beside the interpreter. Raises `Problem`.
    """
    for beside in (sys.argv[0], sys.executable):
        path = os.path.join(os.path.dirname(os.path.abspath(beside)), program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise Problem(
        f"{program} is not installed beside {sys.executable}",
        "in a clone of ssmgate: pipx install . (or: make demo)",
    )


def data_directory(name: str, in_checkout: str) -> str:
    """The absolute path of a directory that comes along: `name` in the package, or of a checkout.

    Raises `Problem` where neither is there.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checkout = os.path.join(os.path.dirname(os.path.dirname(package)), in_checkout)
    for path in (os.path.join(package, name), checkout):
        if os.path.isdir(path):
            return path
    raise Problem(f"{package} has no directory {name}", "install ssmgate again")
