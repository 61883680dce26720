"""How the verbs show their help: `-h`, `--help` and `ssmgate help [VERB]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ssmgate.commands.printer import echo_lines

WIDTH = 80
"""The most columns of a help text, on a wider terminal too."""

Row = tuple[str, str]
"""An option with its value, and what it does."""

_GLOBAL_OPTIONS: Row = (
    "--region, --profile",
    "and the other global options of the AWS CLI",
)


class Group(click.Group):
    """A group that wraps the short help of its verbs where click would cut it."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section with the verbs."""
        with formatter.section("Commands"):
            formatter.write_dl(rows(self, sorted(self.commands)))


def rows(group: click.Group, names: Iterable[str], width: int = 0) -> list[Row]:
    """Return a row for each verb in `names` that is not hidden, with its short help.

    Names are padded with spaces to `width`.
    """
    verbs = [group.commands[name] for name in names]
    return [
        ((verb.name or "").ljust(width), verb.get_short_help_str(limit=1000))
        for verb in verbs
        if not verb.hidden
    ]


class PassingVerb(click.Command):
    """A verb that passes its arguments to start-session's parser.

    `own` are the options that the verb takes out of them before, for help and completion.
    """

    def __init__(self, *args: Any, own: Iterable[Row], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ignore_unknown_options = True
        self.own = tuple(own)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section with the options."""
        help_option = self.get_help_option(ctx)
        record = help_option.get_help_record(ctx) if help_option is not None else None
        with formatter.section("Options"):
            formatter.write_dl([*self.own, _GLOBAL_OPTIONS, *([record] if record else [])])


@click.command(
    "start-session",
    cls=PassingVerb,
    own=(
        ("--target NODE", "the managed node, i-... or mi-...; required"),
        ("--document-name NAME", "the session document"),
        ("--parameters MAP", "the parameters of the session document"),
        ("--reason TEXT", "why you need the session"),
        ("--cli-input-json JSON", "the request, or file:// and its path"),
        ("--generate-cli-skeleton", "print an empty request, start nothing"),
    ),
    options_metavar="",
    epilog="""\b
Exit status, as of AWS CLI v2; once the plugin runs, the plugin's:
  252  the command line is invalid
  253  no region, no credentials, or an invalid configuration of ssmgate
  254  access is denied or could not be checked, or AWS returned an error
  255  another error, for example session-manager-plugin not found
  130  interrupted
""",
    short_help="Start a session, like 'aws ssm start-session'.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="--target NODE [OPTIONS]")
def start_session(words: tuple[str, ...]) -> None:
    """Start a session if IAM allows the caller to use the session document.

    Without --document-name the document is SSM-SessionManagerRunShell.

    \b
      ssm-start-session --target i-0123456789abcdef0
      ssm-start-session --target i-0123456789abcdef0 --document-name Dev-Shell

    Takes the arguments of `aws ssm start-session`, as AWS CLI v2 does. Its manual page is shown by
    `ssm-start-session help`.
    """
    raise click.UsageError("write 'ssmgate start-session' with the verb first")


@click.command("help", short_help="Show the help of a verb.")
@click.argument("words", nargs=-1, metavar="[VERB]...")
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a verb, as VERB --help does. Without VERB, list the verbs."""
    at = ctx.find_root()
    verb = at.command
    for word in words:
        found = verb.get_command(at, word) if isinstance(verb, click.Group) else None
        if found is None:
            raise click.UsageError(f"No such command {word!r}.", at)
        at, verb = click.Context(found, at, word), found
    echo_lines(verb.get_help(at))
