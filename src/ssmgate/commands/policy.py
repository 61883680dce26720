"""`ssmgate policy`: verbs about policies in files and in accounts."""

from __future__ import annotations

import click

from ssmgate.commands import policy_audit, policy_check, policy_lint, policy_print, policy_test
from ssmgate.commands.help import Group


@click.group(cls=Group)
def policy() -> None:
    """Check policy files before you deploy them, and audit accounts."""


policy.add_command(policy_audit.audit)
policy.add_command(policy_check.check)
policy.add_command(policy_lint.lint)
policy.add_command(policy_print.print_policy)
policy.add_command(policy_test.test)
