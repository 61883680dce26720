"""`ssmgate config`: show the configuration and its sources, and check a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ssmgate.commands.help import Group
from ssmgate.commands.printer import echo
from ssmgate.doctor import named_files
from ssmgate.gate import exits
from ssmgate.gate.config import merge
from ssmgate.gate.config.load import Config
from ssmgate.gate.config.schema import KEYS, USER_PLACEHOLDER
from ssmgate.gate.system import SYSTEM_FILE, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions
from ssmgate.login import landlock


@click.group(cls=Group)
def config() -> None:
    """Show the configuration, or check a configuration file."""


@config.command(short_help="Print the effective configuration.")
@click.option("--origin", is_flag=True, help="Also show the source of each value.")
def show(origin: bool) -> None:
    """Print the effective configuration as TOML. Keys that are not set are comments.

    --origin adds a comment to each key: the files and environment variables that set it, in their
    order, and whether the system's file locks it.
    """
    found, locked = merge.settings(os.environ)
    for name, setting in found.items():
        where = ", then ".join(setting.origins) or "default"
        comment = f"  # {where}{', locked' * (name in locked)}"
        echo(f"{_shown(name, setting.value)}{comment if origin else ''}")


def _shown(name: str, value: Any) -> str:
    """Return the line of a key: TOML, and a comment if the key is not set."""
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], tuple):
        value = value[0]
    return f"# {name} = (not set)" if value in (None, ()) else f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Return `value` as TOML on one line, in ASCII."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{"".join(map(_character, value))}"'
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return (
                f"{{{', '.join(f'{_toml(key)} = {_toml(item)}' for key, item in value.items())}}}"
            )
    return str(value)


def _character(char: str) -> str:
    """Return one character of a basic string. https://toml.io/en/v1.0.0#string"""
    if char in '"\\':
        return f"\\{char}"
    if " " <= char <= "~":
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


@config.command(short_help="Check a configuration file.")
@click.argument("file", type=click.Path())
@click.pass_context
def check(ctx: click.Context, file: str) -> None:
    """Check FILE as the system's configuration, without using it.

    Prints settings that are valid but probably not intended, and the files and directories named
    in FILE that cannot be used.

    Exit status: 0 if FILE is valid, 3 if a file or directory that it names cannot be used, 253 if
    FILE is invalid.
    """
    found, locked = merge.check(file)
    path = os.path.abspath(file)
    try:
        os.close(trusted_open.open_trusted(path))
    except (InsecurePermissions, OSError) as error:
        echo(f"note: as {SYSTEM_FILE} it would be refused: {error}")
    settings = merge.made(found, locked)
    for note in notes(settings):
        echo(f"note: {note}")
    echo(f"{file}: valid; {len(locked)} of {len(KEYS)} keys are locked")
    unusable = list(named_files.unusable(settings))
    for key, why in unusable:
        echo(f"problem: {key}: {why}")
    ctx.exit(exits.DENIED if unusable else exits.OK)


def notes(config: Config) -> Iterator[str]:
    """Yield notes on settings of `config` that are valid, but weaker than they look."""
    login, records = config.login, config.records
    if config.permissive:
        yield "mode is 'permissive': sessions start even if the check denies them"
    if not config.locked:
        yield "nothing is locked: users may set every key, and 'ssmgate login' refuses every user"
    elif "mode" not in config.locked:
        yield "mode is not locked: a user may set it to 'permissive'"
    if records.required and not (records.file or records.syslog):
        yield "record.required without record.file or record.syslog: no session can start"
    if records.chain and not records.file:
        yield "record.chain without record.file: only a file is chained"
    if not (login.aws_config_file or login.aws_credentials_file):
        return
    if USER_PLACEHOLDER not in (login.profile or ""):
        yield (
            "all users who log in here start sessions as one AWS principal: IAM simulates the"
            " bastion, not the user. login.profile ="
            f" {USER_PLACEHOLDER!r} uses the AWS profile with the name of the Unix user"
        )
    if "profile" in login.options:
        yield "login.options has 'profile': a user may choose the AWS principal of another user"
    if not login.confine_plugin:
        yield "login.confine_plugin is false: the plugin may use all files that the user may"
    elif not landlock.version():
        yield f"login.confine_plugin has no effect on this machine: {landlock.MISSING}"
    if config.plugin_path is None:
        yield "plugin.path is unset: 'ssmgate login' does not search PATH, and refuses every user"
