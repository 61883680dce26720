"""`ssmgate policy print PERSONA`: a policy to begin with."""

from __future__ import annotations

import json
import re

import click

from ssmgate.commands import printer
from ssmgate.commands.common import Verb

_NAMES = [
    *("shell-user", "ssh-user", "port-forward", "break-glass", "bastion-person", "checker"),
    *("auditor", "check-scp"),
]

_EPILOG = """\b
Exit status:
  0    the policy was printed
  252  the command line is invalid
"""


@click.command(
    "print", cls=Verb, epilog=_EPILOG, short_help="Print a policy for a kind of user or program."
)
@click.argument("persona", type=click.Choice(_NAMES), metavar="PERSONA")
@click.option("--account", metavar="ID", required=True, help="The account ID, 12 digits.")
@click.option("--region", metavar="NAME", required=True, help="The region of the nodes.")
@click.option("--partition", default="aws", metavar="NAME", help="aws, aws-cn or aws-us-gov.")
@click.option(
    "--document-name", "documents", multiple=True, metavar="NAME",
    help="Another document; may be given again.",
)  # fmt: skip
@click.option("--role", metavar="NAME", help="For bastion-person: the role of the user.")
@click.option(
    "--format", "form", type=click.Choice(["json", "terraform"]), default="json",
    help="The format.",
)  # fmt: skip
def print_policy(
    persona: str,
    account: str,
    region: str,
    partition: str,
    documents: tuple[str, ...],
    role: str | None,
    form: str,
) -> None:
    """Print a policy that allows PERSONA what it needs, and nothing else.

    \b
      shell-user      start a shell with the default document
      ssh-user        use ssh, scp and git through sessions
      port-forward    forward ports of a node
      break-glass     all three on all nodes, also outside EC2, in an incident
      bastion-person  start a shell from a bastion host, and use its menu
      checker         simulate the policies of all principals
      auditor         read what 'ssmgate policy audit' needs
      check-scp       experimental: a service control policy, see below

    Those that start sessions require the document check, and may end and resume their own sessions
    only. Require MFA for break-glass in the trust policy of its role.

    check-scp denies nodes when the service does not check a document, in all accounts below the
    place where it is attached. AWS does not document this use of the key: try it on one account.

    The local evaluator proves each policy before it is printed: its sessions are allowed, and other
    documents, other sessions and nodes without the check are denied.
    """
    from ssmgate.policy_tools import personas

    if not (len(account) == 12 and account.isascii() and account.isdigit()):
        raise click.BadParameter("must have 12 digits", param_hint="--account")
    for option, text in (("--region", region), ("--partition", partition)):
        if not re.fullmatch("[a-z0-9-]+", text):
            raise click.BadParameter("must be a name, such as us-east-1 or aws", param_hint=option)
    if (persona == "bastion-person") != (role is not None):
        raise click.UsageError("--role NAME is required for bastion-person, and for no other")
    if role is not None and not re.fullmatch(r"[\w+=,.@/-]+", role, re.ASCII):
        raise click.BadParameter("must be the name of a role", param_hint="--role")
    found = personas.PERSONAS[persona]
    place = personas.Place(partition, region, account, documents, role or "")
    document = personas.policy(found, place)
    if form == "terraform":
        printer.echo_exactly(personas.as_terraform(found, document))
    else:
        printer.echo_exactly(json.dumps(document, indent=2))
