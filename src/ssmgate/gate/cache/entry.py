"""An answer of IAM's that is kept for seconds: what it says, and to which question alone.

Text that somebody may have changed is read here. It cannot permit anything: `core.decision`
decides about what it says as about a fresh answer.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, ContextEntry, Question

# What reading another text of JSON's, or of nobody's, may raise.
_NONE_OF_OURS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


@frozen
class Timestamp:
    """A point in time by two clocks, in seconds: `wall` may be set, `boot` cannot be."""

    wall: float
    boot: float


@frozen
class Key:
    """What an entry is called, and what it is sealed with. Neither shows what it is made of."""

    name: str
    secret: bytes = field(repr=False)


@frozen
class CacheEntry:
    """Who asked, what, and what IAM answered. No questions: only who it is was kept.

    `made` is when the first of these was asked, `endpoints` where; these are None where it was not
    kept.
    """

    caller: Caller
    made: Timestamp
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    controls: tuple[Evaluation, ...] = ()
    endpoints: Endpoints | None = None


def key(parts: Mapping[str, object]) -> Key:
    """The key of an entry that depends on `parts`, which may hold secrets.

    Different parts have different keys. Raises `TypeError` for what is none of JSON's values, no
    enum, no set and no frozen value: it might not tell all that it is.
    """
    text = json.dumps(_plain(parts), sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return Key(hmac.digest(digest, b"name", "sha256").hex(), hmac.digest(digest, b"seal", "sha256"))


def write(kept: CacheEntry, key: Key) -> str:
    """`kept` as text, for `key`: a seal, and a line of JSON."""
    said = json.dumps(
        {
            "made": [kept.made.wall, kept.made.boot],
            "caller": _flat(kept.caller),
            "questions": [_flat(one) for one in kept.questions],
            "evaluations": [_flat(one) for one in kept.evaluations],
            "controls": [_flat(one) for one in kept.controls],
            "endpoints": kept.endpoints and _flat(kept.endpoints),
        },
        default=_flat,
    )
    return f"{_mac(said, key)}\n{said}"


def read(text: str, key: Key, now: Timestamp, ttl: float) -> CacheEntry | None:
    """What `write` wrote for `key`, asked no longer than `ttl` seconds ago; else None.

    The older of two ages counts, so that setting the clock back prolongs nothing. What comes
    from the future was written before a clock was set back, or before a start of the machine.
    """
    seal, _, said = text.partition("\n")
    try:
        if not hmac.compare_digest(seal, _mac(said, key)):
            return None
        found = json.loads(said)
        wall, boot = found["made"]
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
    except _NONE_OF_OURS:
        return None


def age(text: str, now: Timestamp) -> float | None:
    """How many seconds ago `text` was made, None if it is no text of ours. For people, too."""
    try:
        wall, boot = parse_unverified(text)["made"]
        ages = (float(now.wall - wall), float(now.boot - boot))
        return max(ages) if min(ages) >= 0 else None
    except _NONE_OF_OURS:
        return None


def about(text: str) -> tuple[str, ...]:
    """The caller's ARN and those of the documents, of a text that has an `age`; for people.

    The seal of neither is looked at: only a start can tell whether it is right.
    """
    try:
        said = parse_unverified(text)
        documents = [_text(one["resource_arn"]) for one in said["questions"]]
        return (_text(said["caller"]["caller_arn"]), *documents)
    except _NONE_OF_OURS:
        return ("?",)


def parse_unverified(text: str) -> Any:
    return json.loads(text.partition("\n")[2])


def _mac(said: str, key: Key) -> str:
    return hmac.digest(key.secret, said.encode("utf-8", "surrogatepass"), "sha256").hex()


def _plain(value: Any) -> Any:
    """`value` as JSON that shows all of it, fields among it that `repr` would hide."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        # JSON would make texts of other keys, and two of them one.
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a key is no text")
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
