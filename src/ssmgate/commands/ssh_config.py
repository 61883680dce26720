"""`ssmgate ssh-config`: print a block for ssh_config(5) to use ssh over Session Manager."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from ssmgate.commands.common import Problem, Verb, installed
from ssmgate.commands.printer import echo_exactly
from ssmgate.gate.decision import printable

# These become part of a shell command or of ssh's syntax: only characters that need no quotes.
_PATTERN = re.compile(r"!?[A-Za-z0-9_.:*?][A-Za-z0-9_.:*?-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./@,:+-]+")


def for_shell(word: str) -> str:
    """Return `word` quoted as one word for POSIX sh, bash, zsh and fish, and for ssh_config.

    ssh splits the line by its own rules first. In these, as in fish and unlike sh, a backslash
    in single quotes is an escape. Backslashes and single quotes are therefore put into double
    quotes, which all of them parse alike. `word` must not have a NUL or a line break. `%`, which
    ssh expands, is not doubled.
    """
    if _PLAIN.fullmatch(word):
        return word
    parts = re.findall(r"\\|'|[^\\']+", word)
    quoted = {"\\": '"\\\\"', "'": '"\'"'}
    return "".join(quoted.get(part, f"'{part}'") for part in parts) or "''"


def proxy_command(program: str, profile: str | None, region: str | None) -> str:
    """Return the value of `ProxyCommand`, which the shell in `$SHELL` runs.

    `program` is a path, `profile` any name without control characters. `%h` is quoted, because
    ssh before 9.6 accepts host names with shell metacharacters.
    https://man.openbsd.org/ssh_config#ProxyCommand
    """
    line = [for_shell(program).replace("%", "%%"), "--target", "'%h'"]
    line += ["--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=%p"]
    for option, value in (("--profile", profile), ("--region", region)):
        if value is not None:
            # With `=`, because a value may begin with a dash.
            line.append(f"{option}={for_shell(value).replace('%', '%%')}")
    return " ".join(line)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[..., object]:
    def check(_ctx: click.Context, _param: click.Parameter, value: object) -> object:
        for word in value if isinstance(value, tuple) else (value,):
            if word is not None and not pattern.fullmatch(word):
                raise click.BadParameter(f"{word!r} is not {what}")
        return value

    return check


def _printable(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not value:
        raise click.BadParameter("the name is empty")
    if not printable.is_printable(value):
        raise click.BadParameter(
            f"{value!r} has unprintable characters, which ssh_config does not allow"
        )
    return value


@click.command("ssh-config", cls=Verb, short_help="Print the Host block for ~/.ssh/config.")
@click.option(
    "--host",
    "hosts",
    metavar="PATTERN",
    multiple=True,
    default=("i-*", "mi-*"),
    callback=_matching(_PATTERN, "a pattern of host names"),
    help="The hosts of the block; may be given again. Default: 'i-*' and 'mi-*'.",
)
@click.option(
    "--user",
    metavar="NAME",
    callback=_matching(_USER, "a user's name"),
    help="The user on the node.",
)
@click.option("--profile", metavar="NAME", callback=_printable, help="The AWS profile to use.")
@click.option(
    "--region",
    metavar="NAME",
    callback=_matching(_REGION, "a region's name"),
    help="The AWS region to use.",
)
def ssh_config(
    hosts: tuple[str, ...], user: str | None, profile: str | None, region: str | None
) -> None:
    """Print a Host block for ssh_config that reaches managed nodes through Session Manager.

    \b
      ssmgate ssh-config >> ~/.ssh/config
      ssh ec2-user@i-0123456789abcdef0

    Each connection is checked: IAM must allow the caller AWS-StartSSHSession. scp, sftp, rsync and
    git use the block too. To use a host name of your own, print a block with --host NAME and add a
    line HostName with the ID of the node.
    """
    program = installed("ssm-start-session")
    if not printable.is_printable(program):
        raise Problem(
            f"ssh_config cannot name {program!r}", "install ssmgate into another directory"
        )
    lines = [f"Host {' '.join(hosts)}"]
    if user is not None:
        lines.append(f"    User {user}")
    lines.append(f"    ProxyCommand {proxy_command(program, profile, region)}")
    echo_exactly("\n".join(lines))
