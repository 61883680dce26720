"""The rules of `ssmgate policy audit --assert`: who may, who must, and who may be unbound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssmgate.gate.decision.wildcards import like, pattern
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools import inventory
from ssmgate.policy_tools.audit import Bound, Standing
from ssmgate.policy_tools.gaad import Principal
from ssmgate.policy_tools.problem import InputError, in_file
from ssmgate.policy_tools.questions import document_arn


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule about principals, whose ARNs match patterns with `*` and `?`.

    `document` is a name, or `*` for any other document. Only principals in `only` may be allowed,
    those in `must` have to be, and only those in `unbound` may be unbound. None allows all.
    """

    name: str
    document: str
    only: tuple[str, ...] | None
    must: tuple[str, ...]
    unbound: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Violation:
    """A principal that breaks a rule; with `certain` false it may break it, which is unknown."""

    rule: str
    principal: str
    message: str
    certain: bool


def read_rules(path: str) -> tuple[Rule, ...]:
    """Read a TOML file of `[[rule]]` tables. Raises InputError."""
    table = inventory.read_toml(path)
    with in_file(path):
        inventory.only(table, {"rule"}, "")
        rules: list[Rule] = []
        known = {"name", "document", "only", "must", "unbound"}
        for place, one in inventory.tables(table, "rule", known):
            if not {"only", "must", "unbound"} & one.keys():
                raise InputError("must have only, must or unbound", place)
            lists = {
                key: inventory.texts(one[key], f"{place}.{key}")
                for key in ("only", "must", "unbound")
                if key in one
            }
            name = one.get("name", f"rule {len(rules) + 1}")
            document = one.get("document", "*")
            if not isinstance(name, str) or not isinstance(document, str):
                raise InputError("name and document must be strings", place)
            if document != "*":
                _check_document(document, f"{place}.document")
            rules.append(
                Rule(name, document, lists.get("only"), lists.get("must", ()), lists.get("unbound"))
            )
        return tuple(rules)


def _check_document(name: str, place: str) -> None:
    try:
        document_arn(name, partition="aws", region="us-east-1", account="0" * 12)
    except InputError as error:
        raise InputError(str(error), place) from None


class Assertions:
    """The rules of an audit, and what breaks them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._unseen = {(rule.name, text): None for rule in rules for text in rule.must}
        self.broken: list[Violation] = []

    def add(self, principal: Principal, standing: Standing) -> None:
        """Add how `principal` breaks the rules."""
        for rule in self._rules:
            self.broken += violations(rule, principal, standing)
        for name, text in list(self._unseen):
            if _in(principal, (text,)):
                del self._unseen[name, text]

    def end(self, *, complete: bool) -> None:
        """Add the patterns of `must` that no principal matches: perhaps a part was not read."""
        for name, text in self._unseen:
            self.broken.append(Violation(name, text, "matches no user or role", complete))


def violations(rule: Rule, principal: Principal, standing: Standing) -> Iterator[Violation]:
    """Yield how `principal` breaks `rule`, certainly or perhaps."""
    answer = next((one for one in standing.documents if one.name == rule.document), None)
    document = "any other document" if rule.document == "*" else rule.document
    if answer is not None and rule.only is not None and not _in(principal, rule.only):
        if answer.certainty is Certainty.ALLOWED:
            yield Violation(rule.name, principal.arn, f"may start {document}", True)
        elif answer.certainty is Certainty.UNKNOWN:
            yield Violation(rule.name, principal.arn, f"might start {document}", False)
    if answer is not None and _in(principal, rule.must):
        if answer.certainty is Certainty.DENIED:
            yield Violation(rule.name, principal.arn, f"may not start {document}", True)
        elif answer.certainty is Certainty.UNKNOWN:
            yield Violation(
                rule.name, principal.arn, f"might not be allowed to start {document}", False
            )
    if rule.unbound is not None and not _in(principal, rule.unbound):
        if standing.bound is Bound.UNBOUND:
            yield Violation(rule.name, principal.arn, "is unbound", True)
        elif standing.bound is Bound.UNKNOWN:
            yield Violation(rule.name, principal.arn, "might be unbound", False)


def _in(principal: Principal, patterns: tuple[str, ...]) -> bool:
    return any(like(pattern(text), principal.arn) for text in patterns)
