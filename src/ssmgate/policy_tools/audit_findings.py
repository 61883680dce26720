"""Findings of an audit: about principals, the policies that they hold, and session documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssmgate.policy_language import Policy, Version
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.audit import Bound
from ssmgate.policy_tools.document_content import (
    SSH_BESIDE_RUN_AS,
    SSH_DOCUMENT,
    Content,
    run_as,
    ssh_words,
)
from ssmgate.policy_tools.finding_rules import ANY_DOCUMENT, RULES, SOME_STATEMENTS, UNBOUND
from ssmgate.policy_tools.findings import Finding
from ssmgate.policy_tools.lint import Located, lint
from ssmgate.policy_tools.lint_sources import Source
from ssmgate.policy_tools.run import AccountReport, Group

_EMPTY = Policy(Version.V2012, ())

# What single policies are found to have is asked about all policies of a principal instead.
_OF_POLICIES = frozenset(
    rule.code for rule in RULES if rule not in (UNBOUND, ANY_DOCUMENT, SOME_STATEMENTS)
)


def beside_run_as(report: AccountReport, contents: Sequence[Content]) -> Iterator[Located]:
    """Yield the principals who may use SSH and a document of `contents` with run-as."""
    names = run_as(contents)
    for group in report.groups if names else ():
        answers = group.standing.documents
        allowed = {one.name for one in answers if one.certainty is Certainty.ALLOWED}
        beside = [name for name in names if name in allowed]
        if beside and SSH_DOCUMENT in allowed:
            yield _about(report, group, Finding(SSH_BESIDE_RUN_AS, ssh_words(beside)))


def of_account(report: AccountReport) -> Iterator[Located]:
    """Yield what the rules of `policy lint` find, for principals and the policies they hold.

    The audit has to read whole policies.
    """
    for group in report.groups:
        standing = group.standing
        if standing.bound is Bound.UNBOUND:
            by = ", ".join(report.auditor.unbinding(group.principals[0], standing))
            text = "is unbound: nodes are allowed without a document check"
            yield _about(report, group, Finding(UNBOUND, f"{text}, by {by}" if by else text))
        elif standing.bound is Bound.UNKNOWN:
            text = "may be unbound: this depends on conditions that the input does not decide"
            yield _about(report, group, Finding(UNBOUND, text))
        if standing.allowed_any:
            yield _about(report, group, Finding(ANY_DOCUMENT, "may start any session document"))
    held = {
        id(one): one
        for group in report.groups
        for principal in group.principals
        for one in principal.policies
    }
    for one in held.values():
        nowhere = (None,) * len(one.numbers)
        source = Source(report.account.file, one.arn or one.name, one.policy, nowhere, one.numbers)
        yield from lint(source, _OF_POLICIES)


def _about(report: AccountReport, group: Group, finding: Finding) -> Located:
    first, *others = group.principals
    name = f"{first.arn} and {len(others)} more" if others else first.arn
    return Located(Source(report.account.file, name, _EMPTY, (), ()), finding)
