"""Findings of an audit: about principals, the policies that they hold, and session documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ssmgate.policy_language import Policy, Version
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.answer_words import any_document_in_words
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
from ssmgate.policy_tools.lint import Located, lint, lint_content
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
        if beside := _beside_ssh(group, names):
            yield _about(report, group, Finding(SSH_BESIDE_RUN_AS, ssh_words(beside)))


def _beside_ssh(group: Group, names: Sequence[str]) -> list[str]:
    answers = group.standing.documents
    allowed = {one.name for one in answers if one.certainty is Certainty.ALLOWED}
    return [name for name in names if name in allowed] if SSH_DOCUMENT in allowed else []


class DocumentCodes:
    """The codes of the findings that the contents of documents give, by document."""

    def __init__(self, contents: Sequence[Content]) -> None:
        self._run_as = run_as(contents)
        self._own: dict[str, tuple[str, ...]] = {}
        for content in contents:
            found = {one.finding.rule.code for one in lint_content(content)}
            self._own[content.name] = tuple(sorted(found))

    def of(self, group: Group) -> Mapping[str, tuple[str, ...]]:
        """Return the codes for the principals of `group`; other documents have none."""
        if not self._run_as or not _beside_ssh(group, self._run_as):
            return self._own
        ssh = (SSH_BESIDE_RUN_AS.code, *self._own.get(SSH_DOCUMENT, ()))
        return {**self._own, SSH_DOCUMENT: ssh}


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
            text = f"may start {any_document_in_words(standing)}"
            yield _about(report, group, Finding(ANY_DOCUMENT, text))
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
