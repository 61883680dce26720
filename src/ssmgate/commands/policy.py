"""`ssmgate policy`: verbs about policy files, never about the caller."""

from __future__ import annotations

import click

from ssmgate.commands import policy_check


@click.group(short_help="Check policy files before you deploy them.")
def policy() -> None:
    """Check policy files before you deploy them."""


policy.add_command(policy_check.check)
