"""`ssmgate --help`, and the dispatch to the verbs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from ssmgate import __version__
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
from ssmgate.commands.sandbox import sandbox
from ssmgate.commands.ssh_config import ssh_config
from ssmgate.gate import print_error
from ssmgate.gate.decision.errors import GateError

_EPILOG = """\b
Exit codes of start-session (as AWS CLI v2; after the handover the plugin's own):
  252  the command line is not valid
  253  no region, no credentials, or a broken ssmgate configuration
  254  denied, access could not be checked, or an error of the service
  255  anything else
  130  interrupted

\b
Configuration: /etc/ssmgate/config.toml, then ~/.config/ssmgate/config.toml, then SSMGATE_…
variables. What the first one locks, the others can only tighten.
'ssmgate config show --origin' lists the keys, what they are, and where from.
"""

GROUPS = {
    "Start a session": ("start-session",),
    "Check access, starting no session": ("check", "documents", "doctor"),
    "Set up, by printing only": ("init", "ssh-config"),
    "Configuration and state": ("config", "cache", "daemon"),
    "Policy files": ("policy",),
    "Local AWS": ("sandbox",),
    "Bastion": ("login",),
}
"""The verbs as `ssmgate --help` groups them."""


class _Verbs(Group):
    """The top-level command, which lists its verbs in groups."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each entry of `GROUPS`."""
        width = max(len(name) for names in GROUPS.values() for name in names)
        for title, names in GROUPS.items():
            limit = formatter.width - 6 - width
            rows = [
                (name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="ssmgate")
def main() -> None:
    """aws ssm start-session, with the session-document permission check enforced.

    Asks IAM whether you have explicit access (ssm:StartSession) to the session document that
    you name, or to the default one when you name none, and refuses if not.
    """


@main.command(
    "start-session",
    add_help_option=False,
    short_help="Start a session; takes what 'aws ssm start-session' takes.",
)
def start_session() -> None:
    """Listed here for `--help`; `__main__` sends the verb straight to the gate."""
    raise click.UsageError("write 'ssmgate start-session' with the verb first")


@main.command("login", short_help="What bin/ssmgate-login runs instead of a shell.")
def login() -> None:
    """What people get on a bastion instead of a shell: docs/how-to/bastion.md.

    Root's copy of bin/ssmgate-login starts it, as login shell and as sshd's ForceCommand. It takes
    SSH_ORIGINAL_COMMAND, or -c and a command: start-session with --target, --document-name,
    --reason and --parameters, and nothing else. Without one it asks on the terminal.
    """
    raise click.UsageError("write 'ssmgate login' with the verb first")


@main.command("complete", hidden=True)
def complete() -> None:
    """Print the values that the shells' completions offer, one a line, a TAB before what it is.

    \b
      ssmgate complete profiles|regions|targets|documents [--quoted] -- WORDS...

    WORDS is the line up to the cursor, as --profile and --region on it count; --quoted where they
    are as typed. Nodes and documents are asked of AWS for three seconds at most and kept for a
    minute in ~/.cache/ssmgate. Nothing is ever printed on stderr. Exit code: 0, even when
    nothing was found; 252 for other words.
    """


main.add_command(cache)
main.add_command(check)
main.add_command(documents)
main.add_command(doctor)
main.add_command(init)
main.add_command(daemon)
main.add_command(config)
main.add_command(models)
main.add_command(policy)
main.add_command(sandbox)
main.add_command(ssh_config)


def run() -> NoReturn:
    """Run the verb on the command line, print its error if any, and exit."""
    try:
        main(prog_name="ssmgate")
    except GateError as error:
        print_error.print_error(error, dict(os.environ))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        raise SystemExit(print_error.print_defect(error, debug="--debug" in sys.argv)) from None
    raise SystemExit
