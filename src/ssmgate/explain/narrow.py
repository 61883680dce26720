"""Narrow a Deny statement, so that it no longer covers certain resources and covers all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ssmgate.explain.arn_mistakes import is_document
from ssmgate.explain.changes import CHECK_KEY, Json, conditions_of, merge, written
from ssmgate.explain.near_miss import DenyingStatement
from ssmgate.gate.decision.arn import RESERVED_PREFIXES
from ssmgate.gate.decision.question import ACTION, is_resource_tag
from ssmgate.policy_language import Statement
from ssmgate.policy_language.patterns import action_matches

MAX_LISTED = 20
"""How many ARNs a narrowed statement lists at most."""

_NEW_ONES = "a document or node that is created later is denied until it is listed there"

_REGION, _ACCOUNT, _NAME = 3, 4, 5


class CannotNarrow(Exception):
    """The statement cannot be narrowed exactly. The text says why, as a clause."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The ARNs of one kind of resource that exist. If `why` is not empty, they cannot be listed."""

    arns: tuple[str, ...] = ()
    why: str = ""


Lister = Callable[[str], Listing]
"""Lists the resources that the ARN pattern of one of `kinds` covers."""


def kinds(partition: str, account: str) -> tuple[str, ...]:
    """Return the pattern of every kind of resource that StartSession has.

    The documents are those of `account`, and AWS's, which have no account.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    return (
        f"arn:{partition}:ssm:*:{account}:document/*",
        f"arn:{partition}:ssm:*::document/*",
        f"arn:{partition}:ec2:*:*:instance/*",
        f"arn:{partition}:ssm:*:*:managed-instance/*",
        f"arn:{partition}:ecs:*:*:task/*",
    )


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The statements that replace a denying one, none if nothing remains to be denied.

    `note` is a sentence about what else changes, empty if nothing does.
    """

    statements: tuple[Json, ...]
    note: str = ""


def narrow(
    denial: DenyingStatement, resources: Sequence[str], account: str, lister: Lister
) -> Narrowed:
    """Return the statements that replace `denial` and deny all that it denies but `resources`.

    `resources` are literal ARNs that the statement covers, `account` is the caller's. Only
    ssm:StartSession on `resources` is exempted: other actions stay denied. Raises `CannotNarrow`
    if no exact narrowing is known.
    """
    statement = denial.match.statement
    _check_conditions(denial, resources)
    rest, only = _split_actions(statement)
    if statement.negated_resource:
        listed = (*statement.resources, *resources)
        return Narrowed((*rest, _plain(statement, only, NotResource=listed)))
    if any("${" in text for text in statement.resources):
        raise CannotNarrow("it has a policy variable in its Resource")
    if any(text != "*" and text.count(":") < _NAME for text in statement.resources):
        raise CannotNarrow("it has an incomplete ARN in its Resource")
    covering = [t for t in statement.resources if any(_like(t, arn) for arn in resources)]
    others = tuple(t for t in statement.resources if t not in covering)
    names = {arn.split(":", 5)[_NAME] for arn in resources}
    if all(text.split(":", 5)[-1] in names for text in covering):
        remaining = (_plain(statement, only, Resource=others),) if others else ()
        elsewhere = _elsewhere(statement, only, covering, resources)
        return Narrowed((*rest, *remaining, *elsewhere))
    exempt, condition = _exempted(statement, resources, account, lister)
    merged = _with(statement, condition) or None
    but = _plain(statement, only, Resource=None, NotResource=exempt, Condition=merged)
    added = {arn for arn in exempt if "*" not in arn} - set(resources)
    return Narrowed((*rest, but), _NEW_ONES if added else "")


def _check_conditions(denial: DenyingStatement, resources: Sequence[str]) -> None:
    """Raise `CannotNarrow` for a condition that the caller could satisfy instead."""
    documents = all(map(is_document, resources))
    for match in denial.conditions:
        key = match.condition.key
        lacks_tag = is_resource_tag(key) and documents and match.values is None
        if not lacks_tag and key.lower() != CHECK_KEY.lower():
            raise CannotNarrow(f"it depends on {key}")


def _split_actions(statement: Statement) -> tuple[tuple[Json, ...], bool]:
    """Return statements that deny all actions but StartSession, and whether there are any."""
    start = [text for text in statement.actions if action_matches(text, ACTION)]
    if statement.negated_action:
        return (_unnamed(written(statement, NotAction=(*statement.actions, ACTION))),), True
    if len(start) == len(statement.actions) and all(t.lower() == ACTION.lower() for t in start):
        return (), False
    if all(text.lower() == ACTION.lower() for text in start):
        rest = tuple(text for text in statement.actions if text not in start)
        return (_unnamed(written(statement, Action=rest)),), True
    if "*" in start:
        return (_unnamed(written(statement, Action=None, NotAction=ACTION)),), True
    own = all(":document/" in t and ":ssm:" in t for t in statement.resources)
    if "ssm:*" in {text.lower() for text in start} and own and not statement.negated_resource:
        # A document has no actions but those of ssm.
        return (_unnamed(written(statement, Action=None, NotAction=ACTION)),), True
    raise CannotNarrow(f"it denies {start[0]}, which is more than {ACTION}")


def _unnamed(statement: Json) -> Json:
    """Return `statement` without its Sid: the Sids of a policy must be unique."""
    return {name: value for name, value in statement.items() if name != "Sid"}


def _plain(statement: Statement, split: bool, **elements: object) -> Json:
    """Return `statement` with `elements`; if `split`, it denies StartSession alone."""
    if not split:
        return written(statement, **elements)
    return written(statement, **{"NotAction": None, "Action": ACTION, **elements})


def _elsewhere(
    statement: Statement, split: bool, covering: Sequence[str], resources: Sequence[str]
) -> Iterator[Json]:
    """Yield statements that still deny resources of these names in other regions and accounts."""
    for text in covering:
        if text == "*" or text in resources:
            continue
        arn = next(arn for arn in resources if _like(text, arn))
        fields, own = text.split(":", 5), arn.split(":", 5)
        for at, key in ((_REGION, "aws:RequestedRegion"), (_ACCOUNT, "aws:ResourceAccount")):
            if fields[at] != own[at] and own[at]:
                condition = _with(statement, {"StringNotEquals": {key: own[at]}})
                yield _unnamed(_plain(statement, split, Resource=text, Condition=condition))


def _exempted(
    statement: Statement, resources: Sequence[str], account: str, lister: Lister
) -> tuple[list[str], Mapping[str, Mapping[str, str]]]:
    """Return a NotResource element that denies what `statement` denies, and its condition.

    A kind of resource that it does not cover at all is listed there by its pattern, and one of
    which it covers a part by the ARNs of the others.
    """
    regions = {text.split(":", 5)[_REGION] for text in statement.resources if text != "*"} - {"*"}
    own_regions = {arn.split(":", 5)[_REGION] for arn in resources}
    condition: Mapping[str, Mapping[str, str]] = {}
    if regions:
        if regions != own_regions or any(
            text == "*" or text.split(":", 5)[_REGION] == "*" for text in statement.resources
        ):
            raise CannotNarrow("its Resource lists several regions")
        condition = {"StringEquals": {"aws:RequestedRegion": next(iter(regions))}}
    patterns = [_any_region(text) for text in statement.resources]
    exempt = list(resources)
    for kind in kinds(resources[0].split(":")[1], account):
        if any(_covers(text, kind) for text in patterns):
            continue
        if not any(_overlaps(text, kind) and not _reserved(text, kind) for text in patterns):
            exempt.append(kind)
            continue
        listing = lister(kind)
        if listing.why:
            raise CannotNarrow(f"the resources that it covers cannot be listed ({listing.why})")
        not_denied = [arn for arn in listing.arns if not any(_like(t, arn) for t in patterns)]
        if len(not_denied) == len(listing.arns) and kind != _kind_of(resources, kind):
            exempt.append(kind)
        else:
            exempt += [arn for arn in not_denied if arn not in exempt]
    if len(exempt) > MAX_LISTED:
        raise CannotNarrow(f"more than {MAX_LISTED} resources would have to be listed")
    return exempt, condition


def _reserved(pattern: str, kind: str) -> bool:
    """Return whether `kind` is an account's documents, and `pattern` names only AWS's.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
    """
    name = pattern.partition(":document/")[2].lower()
    return ":document/" in kind and "::" not in kind and name.startswith(RESERVED_PREFIXES)


def _kind_of(resources: Sequence[str], kind: str) -> str:
    """Return `kind` if one of `resources` is of it, else an empty text."""
    return kind if any(_like(kind, arn) for arn in resources) else ""


def _with(
    statement: Statement, condition: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, object]]:
    try:
        return merge(conditions_of(statement), condition)
    except ValueError:
        raise CannotNarrow("it already has a condition on the region or the account") from None


def _any_region(text: str) -> str:
    if text == "*":
        return text
    fields = text.split(":", 5)
    return ":".join((*fields[:_REGION], "*", *fields[_REGION + 1 :]))


def _like(pattern: str, arn: str) -> bool:
    """Return whether `pattern` covers the literal `arn`, part by part as IAM matches ARNs."""
    return _by_parts(pattern, arn, _covers_text)


def _covers(pattern: str, other: str) -> bool:
    """Return whether `pattern` certainly covers all that the pattern `other` covers."""
    return _by_parts(pattern, other, _covers_text)


def _overlaps(pattern: str, other: str) -> bool:
    """Return whether some ARN may be covered by both patterns."""
    return _by_parts(pattern, other, _overlap)


def _by_parts(pattern: str, other: str, compare: Callable[[str, str], bool]) -> bool:
    if pattern == "*":
        return True
    return all(map(compare, pattern.split(":", 5), other.split(":", 5)))


def _covers_text(pattern: str, other: str) -> bool:
    """Return whether `pattern` matches `other`, whose wildcards only a `*` of `pattern` matches."""
    # reached: the positions in `pattern` that a beginning of `other` can lead to.
    reached = _closure(pattern, {0})
    for char in other:
        moved = set()
        for at in reached:
            if at < len(pattern) and pattern[at] == "*":
                moved.add(at)
            elif at < len(pattern) and char != "*" and pattern[at] in ("?", char):
                moved.add(at + 1)
        reached = _closure(pattern, moved)
    return len(pattern) in reached


def _closure(pattern: str, reached: set[int]) -> set[int]:
    closed = set(reached)
    for at in reached:
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            closed.add(at)
    return closed


def _overlap(first: str, second: str) -> bool:
    """Return whether some text matches both patterns."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        at, other = todo.pop()
        if (at, other) in seen:
            continue
        seen.add((at, other))
        if at == len(first) and other == len(second):
            return True
        if at < len(first) and first[at] == "*":
            todo += [(at + 1, other), *([(at, other + 1)] if other < len(second) else [])]
        elif other < len(second) and second[other] == "*":
            todo += [(at, other + 1), *([(at + 1, other)] if at < len(first) else [])]
        elif at < len(first) and other < len(second):
            same = "?" in (first[at], second[other]) or first[at] == second[other]
            todo += [(at + 1, other + 1)] if same else []
    return False
