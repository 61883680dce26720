"""Condition operators, with IfExists, ForAllValues and ForAnyValue.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from ssmgate.policy.document import Condition, PolicyError
from ssmgate.policy.patterns import Context, Text, fill, matches, matches_arn

# (the policy's value, the request's value) -> whether they match.
Test = Callable[[Text, str], bool]


@dataclass(frozen=True, slots=True)
class _Operator:
    """`test` compares one pair. `negated`: true when no value of the policy matches.

    `variables`: whether the policy's values may have policy variables.
    `reads`: makes a value of the policy comparable, raising ValueError for one that is none.
    """

    test: Test
    negated: bool = False
    variables: bool = False
    reads: Callable[[str], object] = str


def _ordered(read: Callable[[str], object], compare: Callable[[object, object], bool]) -> Test:
    def test(text: Text, value: str) -> bool:
        try:
            return compare(read(value), read(text.literal()))
        except (ValueError, ArithmeticError, TypeError):
            return False

    return test


def _number(value: str) -> Decimal:
    try:
        number = Decimal(value.strip())
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return number


def _date(value: str) -> datetime:
    """A W3C form of ISO 8601, or seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(_number(value)), UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromisoformat(value.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value.strip(), strict=False)


def _in_network(text: Text, value: str) -> bool:
    try:
        address, network = ipaddress.ip_address(value.strip()), _network(text.literal())
    except ValueError:
        return False
    return address.version == network.version and address in network


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{value!r} is not a boolean")
    return value.lower() == "true"


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{value!r} is not base64") from error


def _equal(one: object, other: object) -> bool:
    return one == other


_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "Equals": _equal,
    "LessThan": lambda one, other: one < other,  # type: ignore[operator]
    "LessThanEquals": lambda one, other: one <= other,  # type: ignore[operator]
    "GreaterThan": lambda one, other: one > other,  # type: ignore[operator]
    "GreaterThanEquals": lambda one, other: one >= other,  # type: ignore[operator]
}


def _operators() -> dict[str, _Operator]:
    def exact(text: Text, value: str) -> bool:
        return text.literal() == value

    def folded(text: Text, value: str) -> bool:
        return text.literal().casefold() == value.casefold()

    found = {
        "Bool": _Operator(_ordered(_boolean, _equal), reads=_boolean),
        "BinaryEquals": _Operator(_ordered(_bytes, _equal), reads=_bytes),
        "IpAddress": _Operator(_in_network, reads=_network),
        "NotIpAddress": _Operator(_in_network, negated=True, reads=_network),
    }
    for name, negation, test in (
        ("StringEquals", "StringNotEquals", exact),
        ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", folded),
        ("StringLike", "StringNotLike", matches),
        # ArnEquals and ArnLike behave identically.
        ("ArnEquals", "ArnNotEquals", matches_arn),
        ("ArnLike", "ArnNotLike", matches_arn),
    ):
        found[name] = _Operator(test, variables=True)
        found[negation] = _Operator(test, negated=True, variables=True)
    for kind, read in (("Numeric", _number), ("Date", _date)):
        for name, compare in _COMPARISONS.items():
            found[kind + name] = _Operator(_ordered(read, compare), reads=read)
        equals = _ordered(read, _equal)
        found[kind + "NotEquals"] = _Operator(equals, negated=True, reads=read)
    return found


_OPERATORS = _operators()


def _split(operator: str) -> tuple[str, str, bool]:
    """The set operator (or ''), the name, and whether IfExists stands behind it."""
    quantifier, _, name = operator.rpartition(":")
    return quantifier, name.removesuffix("IfExists"), name.endswith("IfExists")


def validate(condition: Condition) -> None:
    """Raise `PolicyError` for an unknown operator and for a value that it cannot compare."""
    quantifier, name, if_exists = _split(condition.operator)
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise PolicyError(f"unknown set operator {quantifier!r}")
    if name == "Null" and not (quantifier or if_exists):
        reads: Callable[[str], object] = _boolean
    elif name in _OPERATORS:
        reads = _OPERATORS[name].reads
    else:
        raise PolicyError(f"unknown condition operator {condition.operator!r}")
    for value in condition.values:
        try:
            reads(value)
        except ValueError as error:
            raise PolicyError(f"{condition.operator} {condition.key}: {error}") from error


def holds(condition: Condition, context: Context, *, variables: bool) -> bool:
    """Whether the request with `context` fulfils `condition`, which `validate` has let through.

    A key that is absent fulfils IfExists, ForAllValues and the negated operators, and no other.
    Of several values without a set operator, one that matches is enough.
    """
    quantifier, name, if_exists = _split(condition.operator)
    present = context.get(condition.key.lower(), ())
    if name == "Null":
        return any(_boolean(value) is (not present) for value in condition.values)
    operator = _OPERATORS[name]
    if not present:
        if if_exists or quantifier == "ForAllValues":
            return True
        return operator.negated and quantifier != "ForAnyValue"
    filled = (
        fill(value, context, variables=variables and operator.variables)
        for value in condition.values
    )
    texts = [text for text in filled if text is not None]

    def fits(value: str) -> bool:
        return any(operator.test(text, value) for text in texts) is not operator.negated

    if quantifier == "ForAllValues":
        return all(fits(value) for value in present)
    if quantifier == "ForAnyValue":
        return any(fits(value) for value in present)
    matched = any(operator.test(text, value) for text in texts for value in present)
    return matched is not operator.negated
