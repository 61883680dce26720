"""`ssmgate policy lint PATH…`: find weaknesses in policies for sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssmgate.commands import printer
from ssmgate.commands.common import Verb
from ssmgate.gate import exits

if TYPE_CHECKING:
    from ssmgate.policy_tools.lint import Located
    from ssmgate.policy_tools.problem import Problem

_SEVERITIES = ["note", "low", "medium", "high"]

_EPILOG = """\b
Exit status:
  0    no finding is as severe as --fail-on
  3    at least one finding is as severe as --fail-on
  4    a file could not be read
  252  the command line is invalid
"""


@click.command(
    "lint",
    cls=Verb,
    epilog=_EPILOG,
    short_help="Find weaknesses in policies for sessions.",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--select", multiple=True, metavar="CODES", help="Only these findings: SG001,SG002.")
@click.option("--ignore", multiple=True, metavar="CODES", help="All but these findings.")
@click.option(
    "--fail-on", type=click.Choice(_SEVERITIES), default="low",
    help="The least severity that exits with 3.",
)  # fmt: skip
@click.option("--baseline", metavar="FILE", help="Leave out the findings in FILE.")
@click.option("--write-baseline", metavar="FILE", help="Write the findings to FILE, and exit.")
@click.option(
    "--document-content", multiple=True, metavar="FILE",
    help="Output of get-document: adds SG003 and SG014.",
)  # fmt: skip
@click.option(
    "--output", type=click.Choice(["text", "json", "sarif", "github"]), default="text",
    help="The format.",
)  # fmt: skip
@click.pass_context
def lint(ctx: click.Context, /, **options: Any) -> None:
    """Find weaknesses in policies for sessions, each with its statement and a fix.

    PATH is a policy in JSON or YAML, a Terraform plan ('terraform show -json'), account details
    ('aws iam get-account-authorization-details'), or a directory of such files. The findings have
    their pages in docs/reference/findings.
    """
    from ssmgate.gate.decision.errors import InvalidRequest
    from ssmgate.policy_tools.problem import InputError

    try:
        ctx.exit(_lint(options))
    except InputError as error:
        raise InvalidRequest(str(error), code="ParamValidation") from None


def _lint(options: dict[str, Any]) -> int:
    from ssmgate.policy_tools import document_content, lint_sources
    from ssmgate.policy_tools import lint as linting
    from ssmgate.policy_tools.findings import Severity
    from ssmgate.policy_tools.problem import Problem

    selected = linting.codes(options["select"], options["ignore"])
    documents = document_content.contents(options["document_content"])
    run_as = document_content.run_as(documents)
    known = linting.read_baseline(options["baseline"]) if options["baseline"] else frozenset()
    located = [one for content in documents for one in linting.lint_content(content)]
    located = [one for one in located if one.finding.rule.code in selected]
    problems: list[Problem] = []
    for source in lint_sources.find(options["paths"]):
        if isinstance(source, Problem):
            problems.append(source)
        else:
            located += linting.lint(source, selected, run_as)
    found = [one for one in located if one.fingerprint not in known]
    for problem in problems:
        printer.echo(f"ssmgate: [ERROR]: {problem}", err=True)
    if options["write_baseline"]:
        Path(options["write_baseline"]).write_text(linting.baseline(found) + "\n")
        return exits.UNKNOWN if problems else exits.OK
    _print(options["output"], found, problems)
    least = Severity[options["fail_on"].upper()]
    if any(one.finding.severity >= least for one in found):
        return exits.DENIED
    return exits.UNKNOWN if problems else exits.OK


def _print(output: str, found: list[Located], problems: list[Problem]) -> None:
    from ssmgate.policy_tools import lint as linting

    if output == "json":
        printer.echo_exactly(linting.as_json(found, problems))
    elif output == "sarif":
        printer.echo_exactly(linting.as_sarif(found, problems))
    elif output == "github":
        printer.echo_lines(linting.as_github(found).removesuffix("\n"))
    else:
        printer.echo_lines(linting.as_text(found).removesuffix("\n"))
