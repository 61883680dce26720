"""Entries of the cache as text, authenticated with a key that only their readers can derive.

Text that another process may have changed is parsed here. It cannot permit anything:
`gate.decision` decides about what it says as about a fresh answer.
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
"""What parsing a text that `serialize` did not write may raise."""


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
    """The name of an entry, and what authenticates it. Neither shows what it is derived from."""

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

    Different parts have different keys. Raises `TypeError` for what is not a JSON value, an enum, a
    set or a frozen value: it might not show all that it is.
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
            "questions": [_flat(one) for one in entry.questions],
            "evaluations": [_flat(one) for one in entry.evaluations],
            "controls": [_flat(one) for one in entry.controls],
            "endpoints": entry.endpoints and _flat(entry.endpoints),
        },
        default=_flat,
    )
    return f"{_mac(body, key)}\n{body}"


def parse(text: str, key: Key, now: Timestamp, ttl: float) -> CacheEntry | None:
    """Return the entry that `serialize` wrote for `key` within the last `ttl` seconds, else None.

    The greater age of two clocks counts, so that setting the clock back prolongs nothing. An entry
    of the future was written before a clock was set back, or before the machine was booted.
    """
    mac, _, body = text.partition("\n")
    try:
        if not hmac.compare_digest(mac, _mac(body, key)):
            return None
        found = json.loads(body)
        wall, boot = found["created_at"]
        if not all(0 <= age <= ttl for age in (now.wall - wall, now.boot - boot)):
            return None
        return CacheEntry(
            _caller(found["caller"]),
            Timestamp(wall, boot),
            tuple(_question(one) for one in found["questions"]),
            tuple(_evaluation(one) for one in found["evaluations"]),
            tuple(_evaluation(one) for one in found["controls"]),
            _endpoints(found["endpoints"]),
        )
    except INVALID:
        return None


def _mac(body: str, key: Key) -> str:
    return hmac.digest(key.secret, body.encode("utf-8", "surrogatepass"), "sha256").hex()


def _plain(value: Any) -> Any:
    """Return `value` as JSON that shows all of it, also fields that `repr` would hide."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        # JSON would make texts of other keys, and two of them one.
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


def _flat(one: Any) -> Any:
    if isinstance(one, EvalDecision):
        return one.value
    return {name: getattr(one, name) for name in type(one).__match_args__}


def _caller(said: Mapping[str, Any]) -> Caller:
    tags = said["principal_tags"]
    known = None if tags is None else tuple((_text(k), _text(v)) for k, v in tags)
    texts = {name: _text(said[name]) for name in Caller.__match_args__[:6]}
    return Caller(**texts, role_path_known=said["role_path_known"] is True, principal_tags=known)


def _endpoints(said: Any) -> Endpoints | None:
    if said is None:
        return None
    return Endpoints(_text(said["sts"]), _text(said["iam"]), _text(said["ssm"]))


def _question(said: Mapping[str, Any]) -> Question:
    context = tuple(
        ContextEntry(
            _text(entry["key_name"]),
            _text(entry["key_type"]),
            tuple(_text(item) for item in entry["values"]),
        )
        for entry in said["context"]
    )
    rest = {k: _text(v) for k, v in said.items() if k != "context"}
    return Question(**rest, context=context)


def _evaluation(said: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        resource_arn=_text(said["resource_arn"]),
        eval_decision=EvalDecision(said["eval_decision"]),
        matched_statements=tuple(_statement(one) for one in said["matched_statements"]),
        missing_context=tuple(_text(key) for key in said["missing_context"]),
        allowed_by_permissions_boundary=_layer(said["allowed_by_permissions_boundary"]),
        allowed_by_organizations=_layer(said["allowed_by_organizations"]),
    )


def _statement(said: Mapping[str, Any]) -> MatchedStatement:
    def place(pair: Any) -> tuple[int, int] | None:
        return None if pair is None else (int(pair[0]), int(pair[1]))

    return MatchedStatement(
        _text(said["source_policy_id"]),
        _text(said["source_policy_type"]),
        place(said["start"]),
        place(said["end"]),
    )


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise TypeError(said)
    return said


def _layer(said: Any) -> bool | None:
    if said not in (True, False, None) or isinstance(said, int | float) != isinstance(said, bool):
        raise TypeError(said)
    return said  # type: ignore[no-any-return]
