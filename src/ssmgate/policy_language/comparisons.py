"""Compare a value of a policy with a value of the request, for each kind of operator."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ssmgate.gate.decision.wildcards import Pattern, like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.patterns import arn_like, check_arn_pattern, split_arn
from ssmgate.policy_language.values import (
    read_address,
    read_binary,
    read_bool,
    read_date,
    read_network,
    read_number,
)
from ssmgate.policy_language.variables import Version, parse_template


class Verdict(enum.Enum):
    """The result of comparing two values."""

    EQUAL = enum.auto()
    DIFFERENT = enum.auto()
    # A policy variable has no value: "there is no equal or like value".
    UNRESOLVED = enum.auto()
    # The request's value is not a valid address or ARN. Neither the operator nor its negation
    # matches then (observed). A value that is not a valid number or date is DIFFERENT instead.
    UNREADABLE = enum.auto()
    # The policy's value is not in ARN format after its policy variables were resolved.
    UNDEFINED = enum.auto()


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operator: how to compare two values, and how to check a policy's value.

    `compare` takes the policy's value, the policy's version, the request's value, and the context
    that has the values of policy variables. `check` raises PolicyError for a value that is not
    valid for the operator.
    """

    compare: Callable[[str, Version, str, Context], Verdict]
    check: Callable[[str, Version], None]
    negated: bool = False


def _verdict(equal: bool) -> Verdict:
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


def _text(matches: Callable[[Pattern, str], bool], *, wildcards: bool = False) -> Comparison:
    def compare(
        policy_value: str, version: Version, request_value: str, context: Context
    ) -> Verdict:
        pattern = parse_template(policy_value, version, wildcards=wildcards).resolve(context)
        return Verdict.UNRESOLVED if pattern is None else _verdict(matches(pattern, request_value))

    def check(policy_value: str, version: Version) -> None:
        parse_template(policy_value, version, wildcards=wildcards)

    return Comparison(compare, check)


def _plain(pattern: Pattern) -> str:
    return "".join(piece for piece in pattern if isinstance(piece, str))


def _ordered(
    read: Callable[[str], Decimal | int | None],
    what: str,
    holds: Callable[[Decimal | int, Decimal | int], bool],
) -> Comparison:
    def compare(
        policy_value: str, _version: Version, request_value: str, _context: Context
    ) -> Verdict:
        limit, given = read(policy_value), read(request_value)
        return _verdict(limit is not None and given is not None and holds(given, limit))

    return Comparison(compare, _of_type(read, what))


def _of_type(read: Callable[[str], object], what: str) -> Callable[[str, Version], None]:
    def check(policy_value: str, _version: Version) -> None:
        if read(policy_value) is None:
            raise PolicyError(f"{policy_value!r} is not a valid {what}")

    return check


def _compare_arns(
    policy_value: str, version: Version, request_value: str, context: Context
) -> Verdict:
    if split_arn(request_value) is None:
        return Verdict.UNREADABLE
    pattern = parse_template(policy_value, version).resolve(context)
    if pattern is None:
        return Verdict.UNRESOLVED
    matches = arn_like(pattern, request_value)
    return Verdict.UNDEFINED if matches is None else _verdict(matches)


def _compare_addresses(
    policy_value: str, _version: Version, request_value: str, _context: Context
) -> Verdict:
    address, network = read_address(request_value), read_network(policy_value)
    if address is None or network is None:
        return Verdict.UNREADABLE
    return _verdict(address in network)


def _compare_binary(
    policy_value: str, _version: Version, request_value: str, _context: Context
) -> Verdict:
    data = read_binary(request_value)
    return _verdict(data is not None and data == read_binary(policy_value))


def _not(comparison: Comparison) -> Comparison:
    return Comparison(comparison.compare, comparison.check, negated=True)


_EQUALS = _text(lambda pattern, value: _plain(pattern) == value)
# Lower case, not case folding, as observed: `ß` is not `SS`.
_EQUALS_IGNORE_CASE = _text(lambda pattern, value: _plain(pattern).lower() == value.lower())
_LIKE = _text(like, wildcards=True)
_ARN = Comparison(_compare_arns, check_arn_pattern)
_IP = Comparison(_compare_addresses, _of_type(read_network, "IP address or range"))

_ORDER: Mapping[str, Callable[[Decimal | int, Decimal | int], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_NUMERIC = {f"Numeric{name}": _ordered(read_number, "number", op) for name, op in _ORDER.items()}
_DATE = {f"Date{name}": _ordered(read_date, "date", op) for name, op in _ORDER.items()}

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
COMPARISONS: Mapping[str, Comparison] = {
    "StringEquals": _EQUALS,
    "StringNotEquals": _not(_EQUALS),
    "StringEqualsIgnoreCase": _EQUALS_IGNORE_CASE,
    "StringNotEqualsIgnoreCase": _not(_EQUALS_IGNORE_CASE),
    "StringLike": _LIKE,
    "StringNotLike": _not(_LIKE),
    **_NUMERIC,
    "NumericNotEquals": _not(_NUMERIC["NumericEquals"]),
    **_DATE,
    "DateNotEquals": _not(_DATE["DateEquals"]),
    "Bool": _text(lambda pattern, value: read_bool(_plain(pattern)) is read_bool(value)),
    "BinaryEquals": Comparison(_compare_binary, _of_type(read_binary, "base64")),
    "IpAddress": _IP,
    "NotIpAddress": _not(_IP),
    "ArnEquals": _ARN,
    "ArnLike": _ARN,
    "ArnNotEquals": _not(_ARN),
    "ArnNotLike": _not(_ARN),
}
