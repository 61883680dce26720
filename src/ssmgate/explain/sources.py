"""The caller's policies, parsed: which statement it was that IAM named, and its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ssmgate.explain.policies import PolicyText, PolicyTexts
from ssmgate.explain.report import Answer, Statement
from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY, MatchedStatement
from ssmgate.policy_language import Policies, Policy, PolicyError, Position, parse_policy
from ssmgate.policy_language import Statement as ParsedStatement

__all__ = ["PolicyError", "Source", "Sources", "parse", "place", "read", "with_text"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's text and what it says."""

    policy: Policy
    text: str

    def place(self, statement: ParsedStatement) -> tuple[int, str]:
        """The line where the statement's brace opens, from 1, and the statement's own text."""
        opens = self._offset(statement.opening)
        return statement.opening.line, self.text[opens : self._offset(statement.end)]

    def _offset(self, position: Position) -> int:
        starts = [0, *(found.end() for found in _NEWLINE.finditer(self.text))]
        return starts[position.line - 1] + position.column - 1


@dataclass(frozen=True, slots=True)
class Sources:
    """The policies that could be read and understood. `unread` says what could not."""

    identity: tuple[Source, ...]
    boundary: Source | None
    boundary_arn: str | None
    unread: tuple[str, ...]

    @property
    def policies(self) -> Policies:
        """What the local evaluator takes. Service control policies are never among them."""
        boundary = None if self.boundary is None else self.boundary.policy
        return Policies(tuple(source.policy for source in self.identity), boundary)

    def find(self, policy: Policy) -> Source | None:
        """The source of one of `policies`' own."""
        everything = (*self.identity, *((self.boundary,) if self.boundary else ()))
        return next((source for source in everything if source.policy is policy), None)


def read(gathered: PolicyTexts) -> Sources:
    """Parse what was gathered."""
    unread = list(gathered.unread)
    identity = tuple(_parsed(gathered.identity, unread))
    boundary = next(iter(_parsed([gathered.boundary], unread)), None) if gathered.boundary else None
    return Sources(identity, boundary, gathered.boundary_arn, tuple(unread))


def parse(text: str, source_policy_id: str) -> Source:
    """A policy from elsewhere. Raises `PolicyError` as the parser does."""
    return Source(parse_policy(text, source_policy_id), text)


def _parsed(texts: Iterable[PolicyText], unread: list[str]) -> Iterable[Source]:
    for one in texts:
        try:
            yield parse(one.text, one.source_policy_id)
        except PolicyError as error:
            unread.append(f"policy {one.source_policy_id} is not understood: {error}")


def place(policy: str, sid: str | None, line: int | None) -> str:
    """Where a statement stands, in words."""
    return (
        f"policy {policy}"
        + (f", statement {sid}" if sid else "")
        + ("" if line is None else f", line {line}")
    )


def with_text(answer: Answer, matched: Iterable[MatchedStatement], sources: Sources) -> Answer:
    """`answer` with the Sid, line and text of the statements that IAM named, where known."""
    return replace(answer, statements=tuple(_shown(one, sources) for one in matched))


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
    told_line = None if matched.start is None else matched.start[0]
    if len(found) != 1:
        return Statement(matched.source_policy_id, matched.source_policy_type, line=told_line)
    source, statement = found[0]
    line, text = source.place(statement)
    return Statement(
        matched.source_policy_id,
        matched.source_policy_type,
        statement.sid,
        line,
        json.dumps(json.loads(text)),
    )
