"""Shared parts of the verbs: errors, and the paths of ssmgate's programs and directories."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click

from ssmgate.commands.printer import echo_lines, one_line
from ssmgate.gate import exits
from ssmgate.gate.decision import printable


class Problem(click.ClickException):
    """Something that the verb needs is missing. Exits 253."""

    exit_code = exits.CONFIGURATION

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

    exit_code = exits.USAGE


class Verb(click.Command):
    """A verb whose usage errors have the form and exit status of those of the start path."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line as click does. Raises `WrongUse` if it is not valid."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            one_line(error)  # click puts each choice on a line of its own
            message = printable.Layout(error.format_message())
            raise WrongUse(message, f"{ctx.command_path} --help") from error


def installed(program: str) -> str:
    """Return the absolute path of one of ssmgate's programs that is likely to remain valid.

    It is in the directory of the called program, with symbolic links not resolved: a link made by
    pipx survives an upgrade, its target may not. Otherwise it is in the interpreter's directory.
    Raises `Problem` if it is in neither.
    """
    for neighbour in (sys.argv[0], sys.executable):
        path = os.path.join(os.path.dirname(os.path.abspath(neighbour)), program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise Problem(
        f"{program} is not installed beside {sys.executable}",
        "in a clone of ssmgate: pipx install . (or: make demo)",
    )


def data_directory(name: str, in_checkout: str) -> str:
    """Return the absolute path of a data directory: `name` in the package, or in a checkout.

    Raises `Problem` if neither exists.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checkout = os.path.join(os.path.dirname(os.path.dirname(package)), in_checkout)
    for path in (os.path.join(package, name), checkout):
        if os.path.isdir(path):
            return path
    raise Problem(f"{package} has no directory {name}", "reinstall ssmgate")
