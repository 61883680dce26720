"""`ssmgate policy audit`: who may start which session, in this account or in many from files."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import click

from ssmgate.commands import printer
from ssmgate.commands.common import Verb
from ssmgate.gate import exits

if TYPE_CHECKING:
    from ssmgate.explain.account_details import AccountDetails
    from ssmgate.policy_tools.audit import Standing
    from ssmgate.policy_tools.audit_output import Chosen, Mask, Writer
    from ssmgate.policy_tools.gaad import Principal
    from ssmgate.policy_tools.questions import Scope
    from ssmgate.policy_tools.rules import Rule
    from ssmgate.policy_tools.run import Audit

_REGION = "us-east-1"

_EPILOG = """\b
Exit status:
  0    the report is complete, and no rule is broken
  3    a rule of --assert is broken
  4    a part of the input could not be read, or a rule could not be decided
  252  the command line, or a file that an option names, is invalid
  253  no credentials; 254: IAM denied the call or did not answer
"""


@click.command(
    "audit",
    cls=Verb,
    epilog=_EPILOG,
    short_help="Report who may start which session, in this account or in saved ones.",
)
@click.option(
    "--from", "paths", multiple=True, metavar="PATH",
    help="A file or directory; may be given again.",
)  # fmt: skip
@click.argument("more", nargs=-1, metavar="[PATH]...")
@click.option("--who", is_flag=True, help="Who may start --document-name, and why.")
@click.option("--document-name", metavar="NAME", help="The session document for --who.")
@click.option("--target", metavar="ID", help="The node for --who; any by default.")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="A tag of the node for --who.")
@click.option("--what", metavar="ARN", help="What this user or role may start.")
@click.option("--unbound", is_flag=True, help="Only principals that are unbound, or may be.")
@click.option("--assert", "rules", metavar="FILE", help="Rules in TOML that must hold.")
@click.option("--documents", multiple=True, metavar="FILE", help="Output of list-documents.")
@click.option(
    "--nodes", multiple=True, metavar="FILE", help="Output of describe-instance-information."
)
@click.option(
    "--document-content", multiple=True, metavar="FILE",
    help="Output of get-document: adds SG003 and SG014.",
)  # fmt: skip
@click.option("--organization", metavar="FILE", help="Service control policies, in TOML.")
@click.option("--region", metavar="NAME", help="The region of documents and nodes.")
@click.option(
    "--output", type=click.Choice(["table", "json", "ndjson", "sarif"]), default="table",
    help="The format.",
)  # fmt: skip
@click.option(
    "--confirm", type=click.IntRange(1, 1000), metavar="N",
    help="Simulate in IAM the N principals with the most access; not with --from.",
)  # fmt: skip
@click.option("--profile", metavar="NAME", help="The AWS profile; not with --from.")
@click.option("--redact", is_flag=True, help="Replace names and IDs with placeholders.")
@click.pass_context
def audit(ctx: click.Context, /, **options: Any) -> None:
    """Report who may start a session with which document, and who is not bound by the check.

    Without PATH, the account of your credentials is read (iam:GetAccountAuthorizationDetails).
    PATH is the output of the AWS CLI for this operation, or a directory of such files for many
    accounts; then nothing is sent to AWS. What the policies do not determine, such as the tags of a
    node, is unknown; the report names the condition that it depends on.
    """
    from ssmgate.policy_tools.problem import InputError

    # Garbage collection took a third of the time: accounts are trees, which are freed without it.
    gc.disable()
    try:
        running, rules, details = _audit(options)
        ctx.exit(_run(running, rules, details, options))
    except InputError as error:
        raise _usage(str(error)) from None
    finally:
        gc.enable()


def _audit(
    options: dict[str, Any],
) -> tuple[Audit, tuple[Rule, ...], AccountDetails | None]:
    from ssmgate.policy_tools import document_content, inventory
    from ssmgate.policy_tools.rules import read_rules
    from ssmgate.policy_tools.run import Audit

    paths = (*options["paths"], *options["more"])
    if paths and (options["confirm"] or options["profile"]):
        raise _usage("--confirm and --profile are for the account of your credentials: omit --from")
    if options["who"] != (options["document_name"] is not None):
        raise _usage("--who and --document-name NAME must be given together")
    if (options["target"] or options["tags"]) and not options["who"]:
        raise _usage("--target and --tag are for --who")
    rules = read_rules(options["rules"]) if options["rules"] else ()
    if options["output"] == "sarif" and (options["who"] or options["what"] or options["unbound"]):
        raise _usage("--output sarif is about all principals: omit --who, --what and --unbound")
    contents = document_content.contents(options["document_content"])
    named = [rule.document for rule in rules if rule.document != "*"]
    named += [one.name for one in contents]
    if document_content.run_as(contents):
        named.append(document_content.SSH_DOCUMENT)
    organization = inventory.Organization()
    if options["organization"]:
        organization = inventory.organization(options["organization"])
    details = None
    if not paths:
        from ssmgate.explain.account_details import AccountDetails

        details = AccountDetails(options["profile"])
        options["region"] = options["region"] or details.region
    scope = _scope(options, tuple(dict.fromkeys(named)))
    running = Audit(
        paths,
        scope,
        organization,
        contents,
        whole_policies=options["output"] == "sarif",
        live=None if details is None else details.read(),
    )
    return running, rules, details


def _scope(options: dict[str, Any], named: tuple[str, ...]) -> Scope:
    from ssmgate.policy_tools import inventory
    from ssmgate.policy_tools.questions import Scope

    region = options["region"] or os.environ.get("AWS_REGION")
    region = region or os.environ.get("AWS_DEFAULT_REGION") or _REGION
    documents = inventory.documents(options["documents"]) if options["documents"] else None
    nodes = inventory.nodes(options["nodes"]) if options["nodes"] else None
    if options["who"]:
        documents = (options["document_name"],)
    if options["target"]:
        nodes = (options["target"],)
    return Scope(region, documents, nodes, _tags(options["tags"]), named)


def _tags(texts: tuple[str, ...]) -> dict[str, str] | None:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise _usage(f"--tag {text!r} must be KEY=VALUE")
        found[key] = value
    return found or None


def _run(
    running: Audit,
    rules: tuple[Rule, ...],
    details: AccountDetails | None,
    options: dict[str, Any],
) -> int:
    from ssmgate.policy_tools import audit_findings
    from ssmgate.policy_tools.audit_output import Mask, Redacting
    from ssmgate.policy_tools.confirm import confirm
    from ssmgate.policy_tools.lint import lint_content
    from ssmgate.policy_tools.problem import Problem
    from ssmgate.policy_tools.rules import Assertions

    mask = Redacting() if options["redact"] else Mask()
    writer = _writer(options, running, mask)
    _write(writer.begin())
    asserted, what = Assertions(rules), options["what"]
    found = [one for content in running.contents for one in lint_content(content)]
    shown = 0
    for report in running.accounts():
        for group in report.groups:
            for one in group.principals:
                asserted.add(one, group.standing)
                what = None if one.arn == what else what
        if details and options["confirm"]:
            for answer in confirm(report, options["confirm"], details.simulate):
                running.problems += answer.problems
                running.confirmed += () if answer.problems else (answer.principal,)
        found += audit_findings.beside_run_as(report, running.contents)
        if options["output"] == "sarif":
            found += audit_findings.of_account(report)
        _write(writer.account(report))
        shown = _report(running, shown, mask)
    if what:
        running.problems.append(Problem("", "", f"{what} is not a user or role of the input"))
    _report(running, shown, mask)
    asserted.end(complete=not running.problems)
    broken = asserted.broken
    _write(writer.end(running, broken, found))
    if any(one.certain for one in broken):
        return exits.DENIED
    if not running.summary.accounts:
        printer.echo("ssmgate: [ERROR]: no account could be read", err=True)
    return exits.UNKNOWN if broken or running.problems else exits.OK


def _report(running: Audit, shown: int, mask: Mask) -> int:
    """Print the problems found since the first `shown` ones."""
    for problem in running.problems[shown:]:
        printer.echo(f"ssmgate: [ERROR]: {mask.problem(problem)}", err=True)
    return len(running.problems)


def _write(text: str) -> None:
    if text:
        printer.echo_exactly(text)


def _writer(options: dict[str, Any], running: Audit, mask: Mask) -> Writer:
    from ssmgate.policy_tools import audit_output as output
    from ssmgate.policy_tools.audit_findings import DocumentCodes

    scope = running.scope
    chosen = _chosen(options)
    if options["output"] == "sarif":
        return output.Sarif(mask)
    if options["output"] == "ndjson":
        return output.Lines(scope, mask, chosen, DocumentCodes(running.contents))
    if options["output"] == "json":
        return output.Json(scope, mask, chosen)
    return output.Table(mask, chosen, options["document_name"], all_rows=bool(options["what"]))


def _chosen(options: dict[str, Any]) -> Chosen:
    from ssmgate.policy_language.decide import Certainty
    from ssmgate.policy_tools.audit import Bound

    def chosen(principal: Principal, standing: Standing) -> bool:
        if options["what"] and principal.arn != options["what"]:
            return False
        if options["unbound"] and standing.bound not in (Bound.UNBOUND, Bound.UNKNOWN):
            return False
        if options["who"]:
            return standing.documents[0].certainty is not Certainty.DENIED
        return True

    return chosen


def _usage(message: str) -> Exception:
    from ssmgate.gate.decision.errors import InvalidRequest

    return InvalidRequest(message, code="ParamValidation")
