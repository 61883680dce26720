"""Parse the caller's policies, and find the statements in them that IAM reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ssmgate.explain.policies import PolicyText, PolicyTexts
from ssmgate.explain.report import Answer, Statement
from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY, MatchedStatement
from ssmgate.policy_language import (
    Policies,
    Policy,
    PolicyError,
    PolicyKind,
    Position,
    parse_policy,
)
from ssmgate.policy_language import Statement as ParsedStatement

__all__ = ["PolicyError", "Source", "Sources", "parse", "place", "read", "with_text"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's text and the parsed policy."""

    policy: Policy
    text: str

    def place(self, statement: ParsedStatement) -> tuple[int, str]:
        """Return the line of the statement's `{`, counted from 1, and the statement's text."""
        opens = self._offset(statement.opening)
        return statement.opening.line, self.text[opens : self._offset(statement.end)]

    def _offset(self, position: Position) -> int:
        starts = [0, *(found.end() for found in _NEWLINE.finditer(self.text))]
        return starts[position.line - 1] + position.column - 1


@dataclass(frozen=True, slots=True)
class Sources:
    """The policies that could be read and parsed. `unread` describes the others."""

    identity: tuple[Source, ...]
    boundary: Source | None
    boundary_arn: str | None
    unread: tuple[str, ...]

    @property
    def policies(self) -> Policies:
        """Return the policies for the local evaluator, never with service control policies."""
        boundary = None if self.boundary is None else self.boundary.policy
        return Policies(tuple(source.policy for source in self.identity), boundary)

    def find(self, policy: Policy) -> Source | None:
        """Return the source of `policy`, one of `policies`, or None."""
        everything = (*self.identity, *((self.boundary,) if self.boundary else ()))
        return next((source for source in everything if source.policy is policy), None)


def read(texts: PolicyTexts) -> Sources:
    """Parse the policies that were read; those that cannot be parsed are added to `unread`."""
    unread = list(texts.unread)
    identity = tuple(_parsed(texts.identity, unread))
    boundary = next(iter(_parsed([texts.boundary], unread)), None) if texts.boundary else None
    return Sources(identity, boundary, texts.boundary_arn, tuple(unread))


def parse(text: str, source_policy_id: str, kind: PolicyKind = PolicyKind.IDENTITY) -> Source:
    """Parse the text of a policy of `kind`. Raises `PolicyError` if it is not valid."""
    return Source(parse_policy(text, source_policy_id, kind), text)


def _parsed(texts: Iterable[PolicyText], unread: list[str]) -> Iterable[Source]:
    for policy_text in texts:
        try:
            yield parse(policy_text.text, policy_text.source_policy_id)
        except PolicyError as error:
            unread.append(f"policy {policy_text.source_policy_id} is not understood: {error}")


def place(policy: str, sid: str | None, line: int | None) -> str:
    """Return the location of a statement, in words."""
    return (
        f"policy {policy}"
        + (f", statement {sid}" if sid else "")
        + ("" if line is None else f", line {line}")
    )


def with_text(answer: Answer, matched: Iterable[MatchedStatement], sources: Sources) -> Answer:
    """Return `answer` with the Sid, line and text, where known, of the statements IAM reported."""
    return replace(answer, statements=tuple(_shown(statement, sources) for statement in matched))


def _shown(matched: MatchedStatement, sources: Sources) -> Statement:
    bounding = matched.source_policy_type == BOUNDARY_POLICY
    candidates = sources.identity if not bounding else (sources.boundary,)
    found = [
        (source, statement)
        for source in candidates
        if source is not None and source.policy.source_policy_id == matched.source_policy_id
        for statement in source.policy.statements
        if (statement.start.line, statement.start.column) == matched.start
    ]
    reported_line = None if matched.start is None else matched.start[0]
    if len(found) != 1:
        return Statement(matched.source_policy_id, matched.source_policy_type, line=reported_line)
    source, statement = found[0]
    line, text = source.place(statement)
    return Statement(
        matched.source_policy_id,
        matched.source_policy_type,
        statement.sid,
        line,
        json.dumps(json.loads(text)),
    )
