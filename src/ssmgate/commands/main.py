"""`ssmgate --help`, and the dispatch to the verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ssmgate import __version__
from ssmgate.commands import help
from ssmgate.commands.cache import cache
from ssmgate.commands.check import check
from ssmgate.commands.config import config
from ssmgate.commands.daemon import daemon
from ssmgate.commands.doctor import doctor
from ssmgate.commands.documents import documents
from ssmgate.commands.init import init
from ssmgate.commands.models import models
from ssmgate.commands.policy import policy
from ssmgate.commands.printer import Group
from ssmgate.commands.records import records
from ssmgate.commands.sandbox import sandbox
from ssmgate.commands.ssh_config import ssh_config
from ssmgate.gate import print_error
from ssmgate.gate.decision.errors import GateError

_EPILOG = """\b
The help of a verb: ssmgate help VERB, or ssmgate VERB --help.

\b
Configuration: /etc/ssmgate/config.toml, then ~/.config/ssmgate/config.toml,
then environment variables. A key that the first file locks can only be made
stricter. All keys with their values and sources:
  ssmgate config show --origin
"""

GROUPS = {
    "Start a session": ("start-session",),
    "Check access, start nothing": ("check", "documents", "doctor"),
    "Set up (print only)": ("init", "ssh-config"),
    "Configuration and state": ("config", "cache", "daemon"),
    "Records": ("records",),
    "Policy files": ("policy",),
    "Local AWS": ("sandbox",),
    "Bastion": ("login",),
    "Help": ("help",),
}
"""The verbs as `ssmgate --help` groups them."""


class _Verbs(Group):
    """The top-level command, which lists its verbs in groups."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each entry of `GROUPS`."""
        width = max(len(name) for names in GROUPS.values() for name in names)
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(help.rows(self, names, width))


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": help.WIDTH},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="ssmgate")
def main() -> None:
    """aws ssm start-session, plus a check that IAM explicitly allows the document.

    Simulates the caller's IAM policies for the session document, and starts a session only if the
    answer is allowed. Without --document-name that is the account's default document.
    """


@main.command("login", short_help="Run the login of a user on a bastion host.")
def login() -> None:
    """Run the login of a user on a bastion host, in place of a shell.

    Root installs bin/ssmgate-login, which runs this verb, as login shell and as ForceCommand of
    sshd. It reads the command from SSH_ORIGINAL_COMMAND or from -c: start-session with --target,
    --document-name, --reason and --parameters, and no other option. Without a command it shows a
    menu at a terminal. To set it up: docs/how-to/bastion.md.
    """
    raise click.UsageError("write 'ssmgate login' with the verb first")


@main.command("complete", hidden=True)
def complete() -> None:
    """Print the values that the completions of the shells offer.

    \b
      ssmgate complete profiles|regions|targets|documents [--quoted] -- WORDS...

    Each line is a value, or a value, a TAB and a description. WORDS is the command line up to the
    cursor, from which --profile and --region are used; --quoted if WORDS have the quotes that were
    typed. Nodes and documents are listed by AWS within three seconds, and cached for a minute in
    ~/.cache/ssmgate. Prints nothing to standard error.

    Exit status: 0, also if nothing was found; 252 if WORDS are invalid.
    """


main.add_command(cache)
main.add_command(check)
main.add_command(documents)
main.add_command(doctor)
main.add_command(help.help_)
main.add_command(init)
main.add_command(daemon)
main.add_command(config)
main.add_command(models)
main.add_command(policy)
main.add_command(records)
main.add_command(sandbox)
main.add_command(ssh_config)
main.add_command(help.start_session)


# The verbs that take the AWS CLI's options, --debug among them.
_WITH_DEBUG = (("check",), ("documents",), ("doctor",), ("policy", "check"))


def _shows_traceback(words: Sequence[str]) -> bool:
    """Return whether a defect is printed with its traceback: also if a verb has no --debug."""
    has_debug = any(tuple(words[: len(verb)]) == verb for verb in _WITH_DEBUG)
    return "--debug" in words or not has_debug


def run() -> NoReturn:
    """Run the verb on the command line, print its error if any, and exit."""
    try:
        main(prog_name="ssmgate")
    except GateError as error:
        print_error.print_error(error, dict(os.environ))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        debug = _shows_traceback(sys.argv[1:])
        raise SystemExit(print_error.print_defect(error, debug=debug)) from None
    raise SystemExit
