"""`ssmgate policy test CASES.toml`: an author's tests of policies."""

from __future__ import annotations

from pathlib import Path

import click

from ssmgate.commands import printer
from ssmgate.commands.common import Verb
from ssmgate.gate import exits

_EPILOG = """\b
Exit status:
  0    every answer is the expected one
  3    at least one answer is not
  252  the command line, the file or a policy is invalid
"""


@click.command(
    "test", cls=Verb, epilog=_EPILOG, short_help="Test policies by a file of sessions and answers."
)
@click.argument("cases", metavar="CASES.toml")
@click.argument("policies", nargs=-1, metavar="[POLICY]...")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML, too.")
@click.option("--write", is_flag=True, help="Write the current answers of POLICY... to CASES.toml.")
@click.pass_context
def test(
    ctx: click.Context, cases: str, policies: tuple[str, ...], junit: str | None, write: bool
) -> None:
    """Evaluate the sessions in CASES.toml, and compare the answers with the expected ones.

    \b
      policies = ["ops.json"]
      caller = "arn:aws:iam::111122223333:role/Ops"
      [[case]]
      name = "no ssh"
      document = "AWS-StartSSHSession"
      expect = "denied"

    Other keys are boundary, scp, region, target, context and document_context. A case can expect
    two more answers: data_channel (allowed, denied or unknown), and unbound (true, false or
    "unknown"), which is whether the target is allowed without a document check. Keys above the
    first case are for all cases. Policies are evaluated locally: no AWS calls are made.
    """
    from ssmgate.gate.decision.errors import InvalidRequest
    from ssmgate.policy_tools import cases as testing
    from ssmgate.policy_tools.problem import InputError

    if write != bool(policies):
        raise click.UsageError("--write and POLICY... must be given together")
    try:
        if write:
            testing.write_new(cases, testing.first_cases(cases, policies))
            return
        results = [testing.run(case) for case in testing.read_cases(cases)]
    except InputError as error:
        raise InvalidRequest(str(error), code="ParamValidation") from None
    for text in testing.as_text(results).split("\n"):
        printer.echo(text)
    if junit is not None:
        Path(junit).write_text(testing.as_junit(cases, results), encoding="utf-8")
    ctx.exit(exits.OK if not any(one.failures for one in results) else exits.DENIED)
