"""Serialize cache entries, authenticated with a key that only their readers can derive.

The parsed text may be from another process. It cannot permit anything by itself:
`gate.decision` decides about a cached answer as about a fresh one.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, ContextEntry, Question

INVALID = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""The exceptions that parsing a text may raise if `serialize` did not write it."""


@frozen
class Timestamp:
    """A time by two clocks, in seconds: `wall` can be set, the time since `boot` cannot."""

    wall: float
    boot: float


def now() -> Timestamp:
    """Return the present time."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Timestamp(time.time(), time.clock_gettime(boot))


@frozen
class Key:
    """The name of an entry, and the secret of its HMAC. Neither reveals what it is derived from."""

    name: str
    secret: bytes = field(repr=False)


@frozen
class CacheEntry:
    """A caller, questions, and IAM's answers. Without questions only the identity is cached.

    `created_at` is when the first request was sent, `endpoints` where; None without questions.
    """

    caller: Caller
    created_at: Timestamp
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    controls: tuple[Evaluation, ...] = ()
    endpoints: Endpoints | None = None


def derive_key(parts: Mapping[str, object]) -> Key:
    """Return the key of an entry that depends on `parts`, which may contain secrets.

    Different parts have different keys. Raises `TypeError` for anything but a JSON value, an enum,
    a set or a frozen value: its text might not contain all of it.
    """
    text = json.dumps(_plain(parts), sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return Key(hmac.digest(digest, b"name", "sha256").hex(), hmac.digest(digest, b"mac", "sha256"))


def serialize(entry: CacheEntry, key: Key) -> str:
    """Return `entry` as text that `key` authenticates: an HMAC, and a line of JSON."""
    body = json.dumps(
        {
            "created_at": [entry.created_at.wall, entry.created_at.boot],
            "caller": _flat(entry.caller),
            "questions": [_flat(question) for question in entry.questions],
            "evaluations": [_flat(evaluation) for evaluation in entry.evaluations],
            "controls": [_flat(control) for control in entry.controls],
            "endpoints": entry.endpoints and _flat(entry.endpoints),
        },
        default=_flat,
    )
    return f"{_mac(body, key)}\n{body}"


def parse(text: str, key: Key, now: Timestamp, ttl: float) -> CacheEntry | None:
    """Return the entry that `serialize` wrote for `key` within the last `ttl` seconds, else None.

    The greater age by two clocks is used, so that setting the clock back prolongs nothing. An entry
    from the future was written before a clock was set back, or before the machine was booted.
    """
    mac, _, body = text.partition("\n")
    try:
        if not hmac.compare_digest(mac, _mac(body, key)):
            return None
        members = json.loads(body)
        wall, boot = members["created_at"]
        if not all(0 <= age <= ttl for age in (now.wall - wall, now.boot - boot)):
            return None
        return CacheEntry(
            _caller(members["caller"]),
            Timestamp(wall, boot),
            tuple(_question(question) for question in members["questions"]),
            tuple(_evaluation(evaluation) for evaluation in members["evaluations"]),
            tuple(_evaluation(control) for control in members["controls"]),
            _endpoints(members["endpoints"]),
        )
    except INVALID:
        return None


def _mac(body: str, key: Key) -> str:
    return hmac.digest(key.secret, body.encode("utf-8", "surrogatepass"), "sha256").hex()


def _plain(value: Any) -> Any:
    """Return all of `value` as JSON, also fields that `repr` hides."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        # JSON would convert other keys to strings, and two of them could become equal.
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a key is not a string")
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return {type(value).__name__: value.name}
    if isinstance(value, frozenset):
        return {"set": sorted(json.dumps(_plain(item), sort_keys=True) for item in value)}
    if hasattr(value, "__dataclass_fields__"):
        shown = {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return {type(value).__name__: shown}
    raise TypeError(f"{type(value).__name__} may hide what it is")


def _flat(value: Any) -> Any:
    if isinstance(value, EvalDecision):
        return value.value
    return {name: getattr(value, name) for name in type(value).__match_args__}


def _caller(members: Mapping[str, Any]) -> Caller:
    texts = {name: _text(members[name]) for name in Caller.__match_args__[:6]}
    return Caller(**texts, role_path_known=members["role_path_known"] is True)


def _endpoints(members: Any) -> Endpoints | None:
    if members is None:
        return None
    return Endpoints(_text(members["sts"]), _text(members["iam"]), _text(members["ssm"]))


def _question(members: Mapping[str, Any]) -> Question:
    context = tuple(
        ContextEntry(
            _text(entry["key_name"]),
            _text(entry["key_type"]),
            tuple(_text(item) for item in entry["values"]),
        )
        for entry in members["context"]
    )
    rest = {k: _text(v) for k, v in members.items() if k != "context"}
    return Question(**rest, context=context)


def _evaluation(members: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        resource_arn=_text(members["resource_arn"]),
        eval_decision=EvalDecision(members["eval_decision"]),
        matched_statements=tuple(_statement(item) for item in members["matched_statements"]),
        missing_context=tuple(_text(key) for key in members["missing_context"]),
        allowed_by_permissions_boundary=_layer(members["allowed_by_permissions_boundary"]),
        allowed_by_organizations=_layer(members["allowed_by_organizations"]),
    )


def _statement(members: Mapping[str, Any]) -> MatchedStatement:
    def place(pair: Any) -> tuple[int, int] | None:
        return None if pair is None else (int(pair[0]), int(pair[1]))

    return MatchedStatement(
        _text(members["source_policy_id"]),
        _text(members["source_policy_type"]),
        place(members["start"]),
        place(members["end"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _layer(flag: Any) -> bool | None:
    if flag not in (True, False, None) or isinstance(flag, int | float) != isinstance(flag, bool):
        raise TypeError(flag)
    return flag  # type: ignore[no-any-return]
