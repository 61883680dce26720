"""Findings about policies for sessions: what is risky in them, or does not do what it seems to.

One set of rules for `ssmgate policy lint` and `ssmgate policy audit`. `finding_rules` has the rules
about statements and policies; each has a page below docs/reference/findings.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language import Effect, Policy, Statement
from ssmgate.policy_language.knowledge import ANYTHING, intersect
from ssmgate.policy_language.patterns import action_matches, complete, split_pattern
from ssmgate.policy_language.variables import parse_template

Json = dict[str, Any]


class Severity(enum.IntEnum):
    """How much a finding matters."""

    NOTE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding with this code means."""

    code: str
    name: str
    severity: Severity
    title: str


PAGES = "docs/reference/findings/"
"""The directory of the pages about findings, in the repository."""


@functools.cache
def address_of_pages() -> str | None:
    """Return the URL of PAGES, None if this package does not name it.

    It is the project URL with the label Findings.
    """
    import importlib.metadata  # takes 20 ms

    try:
        found = importlib.metadata.metadata("ssmgate")
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return None
    for item in found.get_all("Project-URL", ()):
        label, _, url = item.partition(", ")
        if label == "Findings":
            return f"{url.removesuffix('/')}/"
    return None


def page(rule: Rule) -> str:
    """Return where the page about a finding is: its URL, or its path in the repository."""
    return f"{address_of_pages() or PAGES}{rule.code}.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one policy.

    `statement` is the number of the statement among those that were parsed, None for the policy as
    a whole. `fix` is a whole statement in place of it, which was tried; None if there is no single
    one.
    """

    rule: Rule
    message: str
    statement: int | None = None
    fix: Json | None = None

    @property
    def severity(self) -> Severity:
        """Return how much it matters."""
        return self.rule.severity


Check = Callable[[Policy], Iterator[Finding]]

START = "ssm:StartSession"
DOCUMENT = ("ssm", "document/")
NODES = (("ec2", "instance/"), ("ssm", "managed-instance/"), ("ecs", "task/"))
SESSION = ("ssm", "session/")

# No document can have this name, as it is too long.
NO_DOCUMENT = f"document/no-such-document.{'-' * 128}"


# The same few actions are in many policies.
_matches = functools.lru_cache(maxsize=65536)(action_matches)


def about(statement: Statement, action: str) -> bool:
    """Return whether the statement's Action or NotAction includes `action`."""
    found = any(_matches(text, action) for text in statement.actions)
    return found is not statement.negated_action


def allowing(policy: Policy, action: str = START) -> Iterator[tuple[int, Statement]]:
    """Yield the Allow statements about `action`, with their numbers."""
    for number, statement in enumerate(policy.statements):
        if statement.effect is Effect.ALLOW and about(statement, action):
            yield number, statement


def parts_of(text: str, policy: Policy) -> tuple[Pattern, ...]:
    """Return the six parts of a string of a Resource element; variables are any text."""
    pieces = parse_template(text, policy.version).pieces
    pattern = tuple(p if isinstance(p, str | Wildcard) else Wildcard.ANY for p in pieces)
    if pattern == ANYTHING:
        return (ANYTHING,) * 6
    return tuple(split_pattern(complete(pattern)) or ())


def may_cover(statement: Statement, policy: Policy, kind: tuple[str, str]) -> bool:
    """Return whether the statement may cover a resource of `kind`: its service and its prefix."""
    service, prefix = kind
    shape = (*prefix, Wildcard.ANY)
    each = [parts_of(text, policy) for text in statement.resources]
    if statement.negated_resource:
        return not any(
            parts[2] in (ANYTHING, tuple(service)) and parts[5] in (ANYTHING, shape)
            for parts in each
        )
    return any(like(parts[2], service) and intersect(parts[5], shape) for parts in each)


def covers_nodes(statement: Statement, policy: Policy) -> bool:
    """Return whether the statement may cover a node."""
    return any(may_cover(statement, policy, kind) for kind in NODES)


def covers_any_document(statement: Statement, policy: Policy) -> bool:
    """Return whether the statement covers documents that it does not name."""
    each = [parts_of(text, policy) for text in statement.resources]
    found = any(like(parts[2], "ssm") and like(parts[5], NO_DOCUMENT) for parts in each)
    return found is not statement.negated_resource


def names(statement: Statement, policy: Policy, document: str) -> bool:
    """Return whether the statement covers the document `document` of AWS, and not any document."""
    if statement.negated_resource or covers_any_document(statement, policy):
        return False
    return any(
        like(parts[2], "ssm") and like(parts[5], f"document/{document}")
        for parts in (parts_of(text, policy) for text in statement.resources)
    )


def find(policy: Policy, checks: Sequence[Check]) -> list[Finding]:
    """Return all findings about `policy`, in the order of its statements."""
    found = [finding for check in checks for finding in check(policy)]
    last = len(policy.statements)
    return sorted(
        found, key=lambda one: (last if one.statement is None else one.statement, one.rule.code)
    )


def by_code(rules: Sequence[Rule]) -> Mapping[str, Rule]:
    """Return `rules` by their codes."""
    return {rule.code: rule for rule in rules}
