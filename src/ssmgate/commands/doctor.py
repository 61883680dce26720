"""`ssmgate doctor`: whether this machine is ready to start sessions, and what to do if not."""

from __future__ import annotations

import json
import os

import click

from ssmgate.commands.check import JSON, colour, read, wants_json
from ssmgate.commands.common import Problem, data_directory
from ssmgate.commands.help import PassingVerb
from ssmgate.commands.printer import echo_lines

_EPILOG = """\b
Exit status:
  0    no problem; there may be warnings
  3    at least one problem
  4    no problem, but something could not be checked
  252  the command line is invalid
"""


@click.command(
    "doctor",
    cls=PassingVerb,
    own=(
        ("--target NODE", "also check whether AWS checks the document on it"),
        JSON,
    ),
    options_metavar="[OPTIONS]",
    epilog=_EPILOG,
    short_help="Check whether this machine can start sessions.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--target NODE]")
@click.pass_context
def doctor(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Check everything that a session needs: programs, files, credentials and permissions.

    Prints one line for each check: ok, warning, problem or unknown. The next step is printed below
    it, as a command or a policy statement. Starts no session, writes nothing, and needs no
    permission that a session does not need. Takes at most 15 seconds.
    """
    from ssmgate.doctor import program, report, shell
    from ssmgate.doctor.lines import IMAGINARY_TARGET
    from ssmgate.doctor.results import exit_status
    from ssmgate.gate.decision.errors import GateError, InvalidRequest

    awscli = program.find_awscli()
    invocation, failure = None, ""
    machine = _names_json(words)
    if not awscli.error:
        try:
            invocation = read(["--target", IMAGINARY_TARGET, *words])
            machine = wants_json(invocation)
        except InvalidRequest:
            raise
        except Exception as error:
            # botocore's own errors are about the AWS files. Any other is about awscli: this release
            # has other private methods, or another model.
            about_files = type(error.__cause__).__module__ == "botocore.exceptions"
            if isinstance(error, GateError) and about_files:
                failure = error.message
            else:
                awscli = program.broken_awscli(awscli.version, error.__cause__ or error)
    if invocation is not None and invocation.request.document_name is not None:
        raise InvalidRequest(
            "doctor takes no --document-name: to check one document, use 'ssmgate check'"
        )
    results = report.examine(
        report.Machine(
            dict(os.environ),
            awscli,
            invocation,
            failure,
            _directory("shims", "bin"),
            _directory("completions", "completions"),
            shell.Terminal.here(),
        )
    )
    if machine:
        shown = report.to_json(results)
        if invocation is not None and invocation.options.query is not None:
            shown = invocation.options.query.search(shown)
        echo_lines(json.dumps(shown, indent=2))
    else:
        style = colour(invocation) if invocation is not None else False
        echo_lines(report.text(results, colour=style), colour=style)
    ctx.exit(exit_status(results))


def _names_json(words: tuple[str, ...]) -> bool:
    """Return whether `words` ask for JSON, for when the AWS CLI's parser cannot be used."""
    text = " ".join(words)
    return any(f"--output{sign}{form}" in text for sign in " =" for form in ("json", "yaml"))


def _directory(name: str, in_checkout: str) -> str | None:
    try:
        return data_directory(name, in_checkout)
    except Problem:
        return None
