"""`ssmgate config`: show the configuration and its sources, and check a file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from ssmgate.commands.printer import echo
from ssmgate.gate.config import merge
from ssmgate.gate.config.load import Config
from ssmgate.gate.config.schema import KEYS, USER_PLACEHOLDER
from ssmgate.gate.system import SYSTEM_FILE, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions


@click.group()
def config() -> None:
    """Show the configuration, or check a file."""


@config.command()
@click.option("--origin", is_flag=True, help="Also show the source of each value.")
def show(origin: bool) -> None:
    """Print the effective configuration.

    A line is TOML, unless it says unset. --origin names the files and environment variables that
    set the value, the last one at the end, and the keys that the system file locks.
    """
    found, locked = merge.settings(os.environ)
    for line in merge.lines(found, locked):
        echo(line if origin else line.rpartition("  # ")[0])


@config.command()
@click.argument("file", type=click.Path())
def check(file: str) -> None:
    """Read FILE as the system's configuration, without using it.

    Exits 253 for what would keep ssmgate from starting anything. Prints what is valid and
    probably not meant.
    """
    found, locked = merge.check(file)
    path = os.path.abspath(file)
    try:
        os.close(trusted_open.open_trusted(path))
    except (InsecurePermissions, OSError) as error:
        echo(f"note: as {SYSTEM_FILE} it would be refused: {error}")
    for note in notes(merge.made(found, locked)):
        echo(f"note: {note}")
    echo(f"{file}: valid; {len(locked)} of {len(KEYS)} keys are locked")


def notes(config: Config) -> Iterator[str]:
    """Yield notes on settings of `config` that are valid, but weaker than they look."""
    login, records = config.login, config.records
    if config.permissive:
        yield "mode is 'permissive': what would be refused starts"
    if not config.locked:
        yield "nothing is locked: users may set every key, and 'ssmgate login' lets nobody in"
    elif "mode" not in config.locked:
        yield "mode is not locked: a user may set it to 'permissive'"
    if records.required and not (records.file or records.syslog):
        yield "record.required without record.file or record.syslog: nothing can start"
    if not (login.aws_config_file or login.aws_credentials_file):
        return
    if USER_PLACEHOLDER not in (login.profile or ""):
        yield (
            "everybody who logs in here starts sessions as one AWS principal: IAM is asked about"
            " the bastion and not about the person. login.profile ="
            f" {USER_PLACEHOLDER!r} takes the AWS profile that is called like the unix user"
        )
    if "profile" in login.options:
        yield "login.options has 'profile': a user may take the AWS principal of another one"
    if config.plugin_path is None:
        yield "plugin.path is unset: 'ssmgate login' searches no PATH and lets nobody in"
