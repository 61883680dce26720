"""Parse policy documents: their statements, and the positions of these in the text."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ssmgate.policy_language.conditions import Condition, parse_operator
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.patterns import PolicyKind, check_action, check_resource
from ssmgate.policy_language.source import Number, Object, Position, Span, read_document
from ssmgate.policy_language.variables import Version, parse_template


class Effect(enum.Enum):
    """What a statement does when it applies."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `negated_…` are true for NotAction and NotResource.

    `start` and `end` are the positions that IAM reports; `opening` is the statement's `{`.
    """

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    start: Position
    end: Position
    opening: Position
    negated_action: bool = False
    negated_resource: bool = False
    conditions: tuple[Condition, ...] = ()
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document.

    `source_policy_id` is IAM's name for its source (`PolicyInputList.1`, `role_NAME_INLINE`, the
    name of a managed policy), which the caller of the parser supplies, as it does `kind`.
    """

    version: Version
    statements: tuple[Statement, ...]
    source_policy_id: str = ""
    kind: PolicyKind = PolicyKind.IDENTITY

    def context_keys(self) -> tuple[str, ...]:
        """Return the keys in conditions and variables, in the policy's spelling and order."""
        keys: dict[str, str] = {}
        for statement in self.statements:
            mentioned = [
                variable.key
                for resource in statement.resources
                for variable in parse_template(resource, self.version).variables
            ]
            for condition in statement.conditions:
                mentioned += (condition.key, *condition.variables(self.version))
            for key in mentioned:
                keys.setdefault(key.lower(), key)
        return tuple(keys.values())


_POLICY_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_SID = re.compile(r"[A-Za-z0-9]*")


def parse_policy(
    text: str, source_policy_id: str = "", kind: PolicyKind = PolicyKind.IDENTITY
) -> Policy:
    """Parse a policy without a principal: identity-based, boundary, service control or session.

    Raises PolicyError for everything that AWS's grammar does not allow: invalid JSON, an unknown
    element, effect, version or operator, a value of the wrong type, a duplicate or missing
    element, an empty list, a Principal. Not checked: AWS's limits on size, and whether actions,
    resources and context keys exist.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    elements, spans = read_document(text)
    _only(elements, _POLICY_ELEMENTS, "")
    version = _word(elements.get("Version", Version.V2008.value), Version, "Version")
    if "Id" in elements:
        _string(elements["Id"], "Id")
    if not spans:
        raise PolicyError("missing Statement")

    statements = []
    for index, span in enumerate(spans):
        try:
            statements.append(_statement(span, version, kind, f"Statement[{index}]"))
        except PolicyError as error:
            error.line = span.opening.line
            raise
    sids = [statement.sid for statement in statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise PolicyError("the Sids of a policy must be unique", "Statement")
    return Policy(version, tuple(statements), source_policy_id, kind)


def policy_of(
    document: object,
    source_policy_id: str = "",
    kind: PolicyKind = PolicyKind.IDENTITY,
    about: Callable[[Mapping[str, object]], bool] | None = None,
) -> tuple[Policy, tuple[int, ...]]:
    """Return the policy of a decoded JSON document, and the numbers of its statements, from 0.

    With `about`, statements for which it returns False are left out and not checked. Raises
    PolicyError as `parse_policy` does. Not checked: duplicate members, which the decoder drops.
    Positions are not known: all are line 0.
    """
    if not isinstance(document, dict):
        raise PolicyError("a policy must be a JSON object")
    _only(Object(document), _POLICY_ELEMENTS, "")
    version = _word(document.get("Version", Version.V2008.value), Version, "Version")
    found = document.get("Statement")
    numbers, statements = [], []
    for number, value in enumerate(found if isinstance(found, list) else [found]):
        path = f"Statement[{number}]"
        if not isinstance(value, dict):
            raise PolicyError("a statement must be a JSON object", path)
        if about is None or about(value):
            numbers.append(number)
            try:
                decoded = _decoded(value)
            except RecursionError:
                raise PolicyError("JSON is nested too deeply", path) from None
            span = Span(decoded, _NOWHERE, _NOWHERE, _NOWHERE)
            statements.append(_statement(span, version, kind, path))
    return Policy(version, tuple(statements), source_policy_id, kind), tuple(numbers)


_NOWHERE = Position(0, 0)


def _decoded(value: object) -> object:
    """Return decoded JSON with the types of `read_document`."""
    if isinstance(value, dict):
        return Object({name: _decoded(member) for name, member in value.items()})
    if isinstance(value, list):
        return [_decoded(member) for member in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Number(str(value))
    return value


def _statement(span: Span, version: Version, kind: PolicyKind, path: str) -> Statement:
    if not isinstance(span.value, Object):
        raise PolicyError("a statement must be a JSON object", path)
    elements = span.value
    for principal in ("Principal", "NotPrincipal"):
        if principal in elements:
            raise PolicyError(
                "only resource-based policies have this element", f"{path}.{principal}"
            )
    _only(elements, _STATEMENT_ELEMENTS, path)
    if "Effect" not in elements:
        raise PolicyError("missing Effect", path)

    negated_action, actions = _patterns(elements, "Action", check_action, path)
    negated_resource, resources = _patterns(
        elements, "Resource", lambda text: check_resource(text, version, kind), path
    )
    sid = _string(elements["Sid"], f"{path}.Sid") if "Sid" in elements else None
    if sid is not None and not _SID.fullmatch(sid):
        raise PolicyError("a Sid must consist of letters and digits", f"{path}.Sid")
    return Statement(
        effect=_word(elements["Effect"], Effect, f"{path}.Effect"),
        actions=actions,
        resources=resources,
        start=span.start,
        end=span.end,
        opening=span.opening,
        negated_action=negated_action,
        negated_resource=negated_resource,
        conditions=_conditions(elements, version, path),
        sid=sid,
    )


def _patterns(
    elements: Object, name: str, check: Callable[[str], None], path: str
) -> tuple[bool, tuple[str, ...]]:
    present = [word for word in (name, f"Not{name}") if word in elements]
    if len(present) != 1:
        raise PolicyError(f"must have either {name} or Not{name}", path)
    path = f"{path}.{present[0]}"
    texts = tuple(_string(value, path) for value in _list(elements[present[0]], path))
    for text in texts:
        try:
            check(text)
        except PolicyError as error:
            raise PolicyError(str(error), path) from None
    return present[0] != name, texts


def _conditions(elements: Object, version: Version, path: str) -> tuple[Condition, ...]:
    path = f"{path}.Condition"
    conditions: list[Condition] = []
    for name, keys in _object(elements.get("Condition", Object()), path).items():
        element_path = f"{path}.{name}"
        seen: set[str] = set()
        for key, value in _object(keys, element_path).items():
            if key.lower() in seen:
                raise PolicyError(f"duplicate key {key!r}", element_path)
            seen.add(key.lower())
            texts = tuple(_scalar(item, element_path) for item in _list(value, element_path))
            try:
                condition = Condition(parse_operator(name), key, texts)
                condition.check(version)
            except PolicyError as error:
                raise PolicyError(str(error), element_path) from None
            conditions.append(condition)
        if not seen:
            raise PolicyError("a condition operator needs at least one key", element_path)
    return tuple(conditions)


def _only(elements: Object, known: set[str], path: str) -> None:
    for name in elements:
        if name not in known:
            raise PolicyError(f"unknown element {name!r}", path)


_E = TypeVar("_E", bound=enum.Enum)


def _word(value: object, words: type[_E], path: str) -> _E:
    text = _string(value, path)
    for word in words:
        if word.value == text:
            return word
    raise PolicyError(f"{text!r} must be one of {', '.join(repr(w.value) for w in words)}", path)


def _object(value: object, path: str) -> Object:
    if not isinstance(value, Object):
        raise PolicyError("must be an object", path)
    return value


def _list(value: object, path: str) -> list[object]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise PolicyError("must have a value", path)
    return values


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise PolicyError("must be a string", path)
    return value


def _scalar(value: object, path: str) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return _string(value, path)
