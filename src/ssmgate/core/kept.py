"""An answer of IAM's that is kept for seconds: what it says, and to which question alone.

Text that somebody may have changed is read here. It cannot permit anything: `core.decision`
decides about what it says as about a fresh answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ssmgate.core.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.core.question import Caller, ContextEntry, Question
from ssmgate.core.values import frozen

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
class Moment:
    """A point in time by two clocks, in seconds: `wall` may be set, `boot` cannot be."""

    wall: float
    boot: float


@frozen
class Kept:
    """Who asked, what, and what IAM answered. No questions: only who it is was kept."""

    caller: Caller
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    controls: tuple[Evaluation, ...] = ()


def fingerprint(parts: Mapping[str, object]) -> str:
    """One name for everything that an answer depends on. `parts` may hold secrets.

    Different parts have different names; those that no JSON can be made of count as their text.
    """
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write(kept: Kept, name: str, now: Moment) -> str:
    """`kept` as text, for the fingerprint `name`."""
    return json.dumps(
        {
            "name": name,
            "made": [now.wall, now.boot],
            "caller": _flat(kept.caller),
            "questions": [_flat(one) for one in kept.questions],
            "evaluations": [_flat(one) for one in kept.evaluations],
            "controls": [_flat(one) for one in kept.controls],
        },
        default=_flat,
    )


def read(text: str, name: str, now: Moment, ttl: float) -> Kept | None:
    """What `write` wrote for `name` no longer than `ttl` seconds ago; None for anything else.

    The older of two ages counts, so that setting the clock back prolongs nothing. What comes
    from the future was written before a clock was set back, or before a start of the machine.
    """
    try:
        said = json.loads(text)
        wall, boot = said["made"]
        ages = (now.wall - wall, now.boot - boot)
        if said["name"] != name or not all(0 <= age <= ttl for age in ages):
            return None
        return Kept(
            _caller(said["caller"]),
            tuple(_question(one) for one in said["questions"]),
            tuple(_evaluation(one) for one in said["evaluations"]),
            tuple(_evaluation(one) for one in said["controls"]),
        )
    except _NONE_OF_OURS:
        return None


def age(text: str, now: Moment) -> float | None:
    """How many seconds ago `text` was written, None if it is no text of ours."""
    try:
        wall, boot = json.loads(text)["made"]
        return float(max(now.wall - wall, now.boot - boot))
    except _NONE_OF_OURS:
        return None


def about(text: str) -> tuple[str, ...]:
    """The caller's ARN and those of the documents, of a text that has an `age`; for people."""
    try:
        said = json.loads(text)
        documents = [_text(one["resource_arn"]) for one in said["questions"]]
        return (_text(said["caller"]["caller_arn"]), *documents)
    except _NONE_OF_OURS:
        return ("?",)


def _flat(one: Any) -> Any:
    if isinstance(one, EvalDecision):
        return one.value
    return {name: getattr(one, name) for name in type(one).__match_args__}


def _caller(said: Mapping[str, Any]) -> Caller:
    tags = said["principal_tags"]
    known = None if tags is None else tuple((_text(k), _text(v)) for k, v in tags)
    texts = {name: _text(said[name]) for name in Caller.__match_args__[:6]}
    return Caller(**texts, role_path_known=said["role_path_known"] is True, principal_tags=known)


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
