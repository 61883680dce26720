"""Lint policies: select findings, compare them with a baseline, and write them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ssmgate.gate.decision.printable import line
from ssmgate.policy_language import Policy, Version
from ssmgate.policy_tools import inventory, json_files
from ssmgate.policy_tools.document_content import Content, beside_run_as, preferences
from ssmgate.policy_tools.finding_rules import CHECKS, RULES
from ssmgate.policy_tools.findings import Finding, address_of_pages, find, page
from ssmgate.policy_tools.lint_sources import Source
from ssmgate.policy_tools.problem import InputError, Problem, in_file

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Located:
    """A finding with its place."""

    source: Source
    finding: Finding

    @property
    def position(self) -> tuple[int, int] | None:
        """Return line and column of the statement, None if they are not known."""
        number = self.finding.statement
        if number is None:
            return self.source.positions[0] if self.source.positions else None
        return self.source.positions[number]

    @property
    def statement(self) -> int | None:
        """Return the number of the statement in the document, from 1."""
        number = self.finding.statement
        return None if number is None else self.source.numbers[number] + 1

    @property
    def where(self) -> str:
        """Return the place as text: `FILE:LINE:COLUMN`, or the file with a name and a number."""
        if self.position:
            return f"{self.source.file}:{self.position[0]}:{self.position[1]}"
        number = "" if self.statement is None else f" statement {self.statement}"
        return f"{self.source.file}: {self.source.name}{number}"

    @property
    def fingerprint(self) -> str:
        """Return what identifies the finding when other lines of the file change."""
        number = self.finding.statement
        text = self.finding.message
        if number is not None:
            one = self.source.policy.statements[number]
            parts = (one.effect.value, one.actions, one.resources, one.conditions, one.sid)
            text = repr(parts)
        whole = "\0".join((self.finding.rule.code, _path(self), self.source.name, text))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def lint(source: Source, selected: frozenset[str], run_as: Sequence[str] = ()) -> list[Located]:
    """Return the findings about one policy whose codes are in `selected`.

    `run_as` are the names of documents that have run-as.
    """
    checks = (*CHECKS, lambda policy: beside_run_as(policy, run_as)) if run_as else CHECKS
    found = find(source.policy, checks)
    return [Located(source, one) for one in found if one.rule.code in selected]


def lint_content(content: Content) -> list[Located]:
    """Return the findings about a session document."""
    source = Source(content.file, content.name, Policy(Version.V2012, ()), (), ())
    return [Located(source, one) for one in preferences(content)]


def codes(select: Iterable[str], ignore: Iterable[str]) -> frozenset[str]:
    """Return the codes that are selected, all by default, and not ignored.

    A code may be shortened to its beginning. Raises InputError for one that no rule has.
    """
    known = [rule.code for rule in RULES]

    def matching(texts: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for text in (part.strip() for one in texts for part in one.split(",")):
            matched = {code for code in known if text and code.startswith(text)}
            if not matched:
                raise InputError(f"unknown code {text!r}; known: {', '.join(known)}")
            found |= matched
        return found

    return frozenset((matching(select) or set(known)) - matching(ignore))


def read_baseline(path: str) -> frozenset[str]:
    """Return the fingerprints in a baseline file. Raises InputError."""
    with in_file(path):
        document = json_files.decode(json_files.read_bytes(path).decode("utf-8", "replace"))
        if not isinstance(document, dict):
            raise InputError("must be an object")
        return frozenset(inventory.texts(document.get("fingerprints"), "fingerprints"))


def baseline(found: Iterable[Located]) -> str:
    """Return the text of a baseline file with these findings."""
    return json.dumps({"fingerprints": sorted({one.fingerprint for one in found})}, indent=2)


def as_text(found: Sequence[Located]) -> str:
    """Return the findings for a person, each with its fix, the first of a code with its page."""
    lines: list[str] = []
    seen: set[str] = set()
    for one in found:
        finding = one.finding
        name = f" {one.source.name}:" if one.position and one.source.name else ""
        lines.append(
            f"{one.where}:{name} {finding.rule.code} {finding.severity.name.lower()}:"
            f" {finding.message}"
        )
        if finding.rule.code not in seen:
            seen.add(finding.rule.code)
            lines.append(f"  see {page(finding.rule)}")
        if finding.fix:
            lines.append("  replace the statement with:")
            lines += [f"  {text}" for text in json.dumps(finding.fix, indent=2).splitlines()]
    counts: dict[str, int] = {}
    for one in found:
        name = one.finding.severity.name.lower()
        counts[name] = counts.get(name, 0) + 1
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    noun = "finding" if len(found) == 1 else "findings"
    lines.append(f"{len(found)} {noun}" + (f": {total}" if total else ""))
    return "".join(f"{line(text)}\n" for text in lines)


def as_json(found: Sequence[Located], problems: Sequence[Problem]) -> str:
    """Return the findings as one JSON document."""
    value = {
        "schema_version": SCHEMA_VERSION,
        "kind": "policy-lint",
        "findings": [
            {
                "code": one.finding.rule.code,
                "name": one.finding.rule.name,
                "severity": one.finding.severity.name.lower(),
                "message": one.finding.message,
                "file": one.source.file,
                "policy": one.source.name or None,
                "statement": one.statement,
                "line": one.position and one.position[0],
                "column": one.position and one.position[1],
                "fix": one.finding.fix,
                "fingerprint": one.fingerprint,
            }
            for one in found
        ],
        "problems": [{"file": p.file, "place": p.place, "message": p.message} for p in problems],
        "complete": not problems,
    }
    return json.dumps(value, indent=2) + "\n"


_LEVELS = {"HIGH": "error", "MEDIUM": "warning", "LOW": "warning", "NOTE": "note"}


def as_sarif(found: Sequence[Located], problems: Sequence[Problem]) -> str:
    """Return the findings as SARIF 2.1.0, with what GitHub requires: a line, and help for a rule.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    https://docs.github.com/code-security/reference/code-scanning/sarif-files/sarif-support
    """
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.title},
            "help": {"text": f"{rule.title}: see {page(rule)}"},
            # It has to be an absolute URI.
            **({"helpUri": page(rule)} if address_of_pages() else {}),
            "defaultConfiguration": {"level": _LEVELS[rule.severity.name]},
        }
        for rule in RULES
    ]
    index = {rule.code: at for at, rule in enumerate(RULES)}
    results = [
        {
            "ruleId": one.finding.rule.code,
            "ruleIndex": index[one.finding.rule.code],
            "level": _LEVELS[one.finding.severity.name],
            "message": {"text": _message(one)},
            "locations": [{"physicalLocation": _location(one)}],
            "partialFingerprints": {"ssmgate/v1": one.fingerprint},
        }
        for one in found
    ]
    notices = [{"level": "error", "message": {"text": str(problem)}} for problem in problems]
    run = {
        "tool": {"driver": {"name": "ssmgate", "rules": rules}},
        "invocations": [
            {"executionSuccessful": not problems, "toolExecutionNotifications": notices}
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _message(one: Located) -> str:
    place = f"{one.source.name}: " if one.source.name else ""
    return f"{place}{one.finding.message}"


def _location(one: Located) -> dict[str, Any]:
    # GitHub shows nothing of a result without a line: an unknown one is the first.
    region = {"startLine": 1}
    if one.position:
        region = {"startLine": one.position[0], "startColumn": one.position[1]}
    return {"artifactLocation": {"uri": quote(os.fsencode(_path(one)))}, "region": region}


def _path(one: Located) -> str:
    """Return the file as GitHub names those of a repository: without `./`."""
    return os.path.normpath(one.source.file).replace("\\", "/")


_COMMANDS = {"HIGH": "error", "MEDIUM": "warning", "LOW": "warning", "NOTE": "notice"}


def as_github(found: Sequence[Located]) -> str:
    """Return the findings as workflow commands, which GitHub shows beside the lines.

    The worst come first: GitHub shows ten of each kind.
    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md#limitations
    """
    lines = []
    for one in sorted(found, key=lambda one: -one.finding.severity):
        values = {"file": _path(one)}
        if one.position:
            values |= {"line": str(one.position[0]), "col": str(one.position[1])}
        values["title"] = one.finding.rule.code
        options = ",".join(f"{name}={_escaped(text, ':,')}" for name, text in values.items())
        command = _COMMANDS[one.finding.severity.name]
        lines.append(f"::{command} {options}::{_escaped(_message(one))}\n")
    return "".join(lines)


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
