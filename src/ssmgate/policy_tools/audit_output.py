"""The output of an audit: a table, JSON, or a line of JSON for each principal and document.

Each writer yields text for one account at a time; the same input gives the same text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ssmgate.explain.redact import Redactor
from ssmgate.gate.decision.printable import line
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.answer_words import answer_in_words, standing_in_words
from ssmgate.policy_tools.audit import Bound, DocumentAnswer, Standing, Status
from ssmgate.policy_tools.audit_findings import DocumentCodes
from ssmgate.policy_tools.findings import page
from ssmgate.policy_tools.gaad import GROUP, Principal
from ssmgate.policy_tools.lint import Located, as_sarif
from ssmgate.policy_tools.problem import Problem
from ssmgate.policy_tools.questions import ANY_DOCUMENT, Scope
from ssmgate.policy_tools.rules import Violation
from ssmgate.policy_tools.run import AccountReport, Audit, Group

SCHEMA_VERSION = 1

Chosen = Callable[[Principal, Standing], bool]


class Writer(Protocol):
    """Yields the text of a report, in parts that end with a line break."""

    def begin(self) -> str:
        """Return the text before the first account."""
        ...

    def account(self, report: AccountReport) -> str:
        """Return the text about one account, empty if nothing of it is shown."""
        ...

    def end(
        self, audit: Audit, violations: Sequence[Violation], findings: Sequence[Located]
    ) -> str:
        """Return the text after the last account."""
        ...


class Mask:
    """Returns texts unchanged."""

    def learn(self, report: AccountReport) -> bool:
        """Learn the names in one account; return whether texts are masked in another way now."""
        return False

    def __call__(self, text: str) -> str:
        """Return `text` as it is to be shown."""
        return text

    def problem(self, problem: Problem) -> Problem:
        """Return `problem` as it is to be shown."""
        return Problem(self(problem.file), self(problem.place), self(problem.message))


class Redacting(Mask):
    """Replaces names and IDs, equal ones by equal placeholders in all accounts."""

    def __init__(self) -> None:
        self._redactor = Redactor()
        self._known: dict[str, str] = {}

    def learn(self, report: AccountReport) -> bool:
        """Learn the names of principals, documents, groups and the account's own policies."""
        account = report.account
        self._redactor.learn([one.arn for one in account.principals])
        for item in report.auditor.questions.documents:
            self._redactor.name(item.name, "document")
        for held in account.policies:
            if held.arn is None or account.account in held.arn:
                holder, _, name = held.name.rpartition("/")
                self._redactor.name(name, "policy")
                # Users and roles are known: other holders are groups.
                self._redactor.name(holder, "group")
        for missing in {name for one in account.principals for name in one.missing}:
            if missing.startswith(GROUP):
                self._redactor.name(missing.removeprefix(GROUP), "group")
            elif not missing.startswith("arn:"):
                self._redactor.name(missing.rpartition("/")[2], "policy")
        self._known.clear()
        return True

    def __call__(self, text: str) -> str:
        """Return `text` with placeholders."""
        if text not in self._known:
            self._known[text] = self._redactor.text(text)
        return self._known[text]


def _chosen(group: Group, chosen: Chosen) -> list[Principal]:
    return [one for one in group.principals if chosen(one, group.standing)]


class Lines:
    """Newline-delimited JSON: a line for each principal and document.

    All lines have the same members, so that they are the rows of one table.
    """

    def __init__(self, scope: Scope, mask: Mask, chosen: Chosen, codes: DocumentCodes) -> None:
        self._region = scope.region
        self._mask = mask
        self._chosen = chosen
        self._codes = codes
        self._tails: dict[tuple[DocumentAnswer, Bound | None, tuple[str, ...]], str] = {}

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def account(self, report: AccountReport) -> str:
        """Return the lines about one account, by principal in the order of the input."""
        if self._mask.learn(report):
            self._tails.clear()
        account = json.dumps(self._mask(report.account.account))
        heads: dict[int, str] = {}
        for group in report.groups:
            codes = self._codes.of(group)
            tails = [
                self._tail(one, group.standing.bound, codes.get(one.name, ()))
                for one in group.standing.documents
            ]
            for one in _chosen(group, self._chosen):
                missing = json.dumps([self._mask(name) for name in one.missing])
                head = (
                    f'{{"account": {account}, "region": "{self._region}",'
                    f' "principal": {json.dumps(self._mask(one.arn))}, "type": "{one.kind}",'
                    f' "missing": {missing}, '
                )
                heads[id(one)] = "".join([head + tail for tail in tails])
        return "".join(heads[id(one)] for one in report.account.principals if id(one) in heads)

    def _tail(self, one: DocumentAnswer, bound: Bound | None, codes: tuple[str, ...]) -> str:
        key = (one, bound, codes)
        if key not in self._tails:
            of_document = document_entry(one, self._mask)
            entries = {**of_document, "bound": bound and bound.value, "findings": codes}
            self._tails[key] = json.dumps(entries)[1:] + "\n"
        return self._tails[key]

    def end(
        self, _audit: Audit, _violations: Sequence[Violation], _findings: Sequence[Located]
    ) -> str:
        """Return nothing: the findings stand in the lines of their documents."""
        return ""


def document_entry(one: DocumentAnswer, mask: Mask) -> dict[str, Any]:
    """Return the answer about one document for JSON."""
    return {
        "document": one.name if one.name == ANY_DOCUMENT else mask(one.name),
        "answer": one.certainty.value,
        "explicit": one.explicit,
        "condition": mask(one.condition) or None,
    }


class Json:
    """One JSON document, described by audit-schema.json."""

    def __init__(self, scope: Scope, mask: Mask, chosen: Chosen) -> None:
        self._scope = scope
        self._mask = mask
        self._chosen = chosen
        self._first = True

    def begin(self) -> str:
        """Return the beginning of the document."""
        return (
            f'{{\n"schema_version": {SCHEMA_VERSION},\n"kind": "policy-audit",\n'
            f'"region": {json.dumps(self._scope.region)},\n"accounts": ['
        )

    def account(self, report: AccountReport) -> str:
        """Return the groups of principals of one account."""
        self._mask.learn(report)
        groups = [
            self._group(report, group, found)
            for group in report.groups
            if (found := _chosen(group, self._chosen))
        ]
        value = {"account": self._mask(report.account.account), "groups": groups}
        before, self._first = "\n" if self._first else ",\n", False
        return before + json.dumps(value)

    def _group(
        self, report: AccountReport, group: Group, principals: list[Principal]
    ) -> dict[str, Any]:
        standing, first = group.standing, principals[0]
        documents = [document_entry(one, self._mask) for one in standing.documents]
        unbinding = report.auditor.unbinding(first, standing)
        return {
            "principals": [self._mask(one.arn) for one in principals],
            "status": standing.status.value,
            "allowed_any": standing.allowed_any,
            "bound": standing.bound and standing.bound.value,
            "unbound_by": [self._mask(text) for text in unbinding],
            "policies": sorted({self._mask(h.arn or h.name) for h in first.policies}),
            "missing": [self._mask(name) for name in first.missing],
            "documents": documents,
        }

    def end(
        self, audit: Audit, violations: Sequence[Violation], findings: Sequence[Located]
    ) -> str:
        """Return the findings, the problems, the violations and the summary."""
        problems = [
            {"file": p.file, "place": p.place, "message": p.message}
            for p in (self._mask.problem(one) for one in audit.problems)
        ]
        broken = [
            {
                "rule": self._mask(v.rule),
                "principal": self._mask(v.principal),
                "message": self._mask(v.message),
                "certain": v.certain,
            }
            for v in violations
        ]
        members = {
            "findings": [
                {
                    "code": one.finding.rule.code,
                    "severity": one.finding.severity.name.lower(),
                    "about": self._mask(one.source.name),
                    "message": self._mask(one.finding.message),
                }
                for one in findings
            ],
            "confirmed": [self._mask(arn) for arn in audit.confirmed],
            "violations": broken,
            "problems": problems,
            "complete": not problems,
            "summary": audit.summary.as_dict(),
        }
        text = ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in members.items())
        return f"\n],\n{text}\n}}\n"


class Sarif:
    """SARIF 2.1.0: the findings, without broken rules of --assert."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def account(self, report: AccountReport) -> str:
        """Return nothing: the findings are written at the end."""
        self._mask.learn(report)
        return ""

    def end(
        self, audit: Audit, _violations: Sequence[Violation], findings: Sequence[Located]
    ) -> str:
        """Return the findings and the problems."""
        mask = self._mask
        masked = [
            Located(
                replace(one.source, file=mask(one.source.file), name=mask(one.source.name)),
                replace(one.finding, message=mask(one.finding.message), fix=None),
            )
            for one in findings
        ]
        problems = [mask.problem(one) for one in audit.problems]
        return as_sarif(masked, problems)


_SHOWN = {Status.ALLOWED: 0, Status.UNKNOWN: 1, Status.DENIED: 2}


class Table:
    """Text for a person: principals with the same effective policies are one row.

    With `document`, the rows are about this document, else about all of them.
    """

    def __init__(self, mask: Mask, chosen: Chosen, document: str | None, all_rows: bool) -> None:
        self._mask = mask
        self._chosen = chosen
        self._document = document
        self._all = all_rows

    def begin(self) -> str:
        """Return nothing."""
        return ""

    def account(self, report: AccountReport) -> str:
        """Return the rows of one account; principals that nothing is granted to are left out."""
        self._mask.learn(report)
        rows: list[tuple[int, list[str]]] = []
        for group in report.groups:
            found = _chosen(group, self._chosen)
            if found and (self._all or group.standing.status in _SHOWN):
                order = _SHOWN.get(group.standing.status, 3)
                rows.append((order, list(self._row(report, group, found))))
        if not rows:
            return ""
        title = f"account {self._mask(report.account.account)}\n"
        rows.sort(key=lambda row: row[0])
        return title + "".join(f"  {line(text)}\n" for _, texts in rows for text in texts) + "\n"

    def _row(self, report: AccountReport, group: Group, found: list[Principal]) -> Iterator[str]:
        standing, first = group.standing, found[0]
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        name = self._mask(first.arn.split(":", 5)[5])
        yield f"{name}{others}: {self._mask(self._answer(standing))}"
        if unbinding := report.auditor.unbinding(first, standing):
            names = ", ".join(map(self._mask, unbinding))
            yield f"    unbound: allowed without a document check by {names}"
        elif standing.bound is Bound.UNKNOWN:
            yield "    unknown whether AWS has to check the document"
        if self._document is not None or self._all:
            yield from self._documents(report, standing, first)
        if first.missing:
            yield f"    not in the input: {', '.join(map(self._mask, first.missing))}"

    def _answer(self, standing: Standing) -> str:
        if self._document is None:
            return standing_in_words(standing)
        return answer_in_words(next(d for d in standing.documents if d.name == self._document))

    def _documents(
        self, report: AccountReport, standing: Standing, first: Principal
    ) -> Iterator[str]:
        for one in standing.documents:
            if self._document is None:
                name = "any other document" if one.name == ANY_DOCUMENT else self._mask(one.name)
                yield f"    {name}: {self._mask(answer_in_words(one))}"
            if one.certainty is Certainty.ALLOWED and one.name == self._document:
                by = report.auditor.allowing(first, one.name)
                yield f"    by {', '.join(map(self._mask, by))}"

    def end(
        self, audit: Audit, violations: Sequence[Violation], findings: Sequence[Located]
    ) -> str:
        """Return the findings, the violations and the summary."""
        lines = [
            f"{one.finding.rule.code} {one.finding.severity.name.lower()}:"
            f" {self._mask(one.source.name)}: {self._mask(one.finding.message)}"
            for one in findings
        ]
        lines += [
            f"see {page(rule)}" for rule in dict.fromkeys(one.finding.rule for one in findings)
        ]
        lines += [self._mask(f"{v.rule}: {v.principal} {v.message}") for v in violations]
        s = audit.summary
        lines += [f"confirmed by IAM: {self._mask(arn)}" for arn in audit.confirmed]
        lines += [*([""] if lines else []), f"accounts {s.accounts}, principals {s.principals}"]
        lines.append(
            f"  may start any document {s.allowed_any}, unbound {s.unbound},"
            f" explicitly denied {s.denied}, nothing granted {s.none}, unknown {s.unknown}"
        )
        return "".join(f"{line(text)}\n" for text in lines)
