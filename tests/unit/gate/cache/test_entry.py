"""Cached answers as text: for the same question, for seconds, and unmodified."""

from __future__ import annotations

import enum
import json
import math
import time
from dataclasses import field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmgate.gate.cache.entry import (
    CacheEntry,
    Timestamp,
    _mac,
    derive_key,
    now,
    parse,
    serialize,
)
from ssmgate.gate.cache.inspect import age, describe
from ssmgate.gate.decision.decision import Permit, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.request import SessionRequest

ARN = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
ALICE = "arn:aws:iam::111122223333:user/alice"
CALLER = Caller("111122223333", ALICE, ALICE, "AIDA", "User", "aws", True)
QUESTION = Question(ALICE, ARN, (ContextEntry("aws:userid", "string", ("AIDA",)),))
ALLOW = Evaluation(
    ARN,
    EvalDecision.ALLOWED,
    (MatchedStatement("user_alice_p", "IAM Policy", (1, 2), (3, 4)), MatchedStatement("q")),
    ("aws:SourceIp",),
    True,
    None,
)
NOW = Timestamp(1_700_000_000.0, 5_000.0)
ASKED = Endpoints("https://sts", "https://iam", "https://ssm")
CACHED = CacheEntry(
    CALLER, NOW, (QUESTION,), (ALLOW,), (replace(ALLOW, resource_arn=ARN + "x"),), ASKED
)
KEY = derive_key({"a": 1})


def after(seconds: float, *, wall: float | None = None) -> Timestamp:
    return Timestamp(NOW.wall + (seconds if wall is None else wall), NOW.boot + seconds)


@pytest.mark.parametrize(
    "cached",
    [
        CACHED,
        CacheEntry(CALLER, NOW),
        replace(CACHED, caller=replace(CALLER, role_path_known=False)),
        replace(CACHED, evaluations=(replace(ALLOW, eval_decision=EvalDecision.IMPLICIT_DENY),)),
    ],
)
def test_reads_entry_as_written(cached: CacheEntry) -> None:
    assert parse(serialize(cached, KEY), KEY, NOW, 60) == cached


@pytest.mark.parametrize(
    ("moment", "ttl", "valid"),
    [
        pytest.param(NOW, 60, True, id="at once"),
        pytest.param(after(60), 60, True, id="the last second"),
        pytest.param(after(60.1), 60, False, id="too old"),
        pytest.param(after(30), 20, False, id="a shorter time than when it was written"),
        pytest.param(after(61, wall=5), 60, False, id="the clock was set back"),
        pytest.param(after(5, wall=61), 60, False, id="the clock was set forward"),
        pytest.param(after(5, wall=-1), 60, False, id="from the future by the clock"),
        pytest.param(Timestamp(NOW.wall + 5, 10), 60, False, id="after a start of the machine"),
    ],
)
def test_entry_is_valid_for_ttl(moment: Timestamp, ttl: int, valid: bool) -> None:
    assert (parse(serialize(CACHED, KEY), KEY, moment, ttl) is not None) is valid
    if not valid:
        shown = age(serialize(CACHED, KEY), moment)
        assert shown is None or shown > ttl


def test_entry_is_invalid_for_another_key() -> None:
    assert parse(serialize(CACHED, KEY), derive_key({"a": 2}), NOW, 60) is None


def test_name_does_not_authenticate_entry() -> None:
    """A user who can list the directory knows the names, but not the credentials."""
    forger = replace(KEY, secret=KEY.name.encode())

    assert parse(serialize(CACHED, forger), KEY, NOW, 60) is None
    assert KEY.secret.hex() not in serialize(CACHED, KEY) + KEY.name + repr(KEY)


@given(st.data())
def test_one_changed_byte_invalidates_entry(data: st.DataObject) -> None:
    text = serialize(CACHED, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda sign: sign != text[at]))

    assert parse(text[:at] + other + text[at + 1 :], KEY, NOW, 60) is None
    assert parse(text[:at], KEY, NOW, 60) is None


def members(value: Any) -> list[tuple[Any, ...]]:
    """Return the path to each part of a JSON value."""
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return []
    return [path for key, inner in pairs for path in ((key,), *((key, *p) for p in members(inner)))]


def entry() -> Any:
    return json.loads(serialize(CACHED, KEY).partition("\n")[2])


def authenticated(payload: str) -> str:
    return f"{_mac(payload, KEY)}\n{payload}"


def spoilt(path: tuple[Any, ...], junk: object) -> str:
    """Return a changed entry with a valid MAC."""
    payload = entry()
    at = payload
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = junk
    return authenticated(json.dumps(payload))


@pytest.mark.parametrize("path", members(entry()), ids=str)
@pytest.mark.parametrize("junk", [{}, [], [[]], 7, 0.5, True, "x", math.nan], ids=repr)
def test_changed_entry_never_permits_denied_request(path: tuple[Any, ...], junk: object) -> None:
    """It is rejected, or the decision is made from it as from any answer, without an exception."""
    found = parse(spoilt(path, junk), KEY, NOW, 60)
    if found is not None and found.questions == CACHED.questions:
        permitted = isinstance(
            decide(SessionRequest("i-1"), found.questions, found.evaluations), Permit
        )
        untouched = [e for e in found.evaluations if e.resource_arn == ARN]
        assert not permitted or {e.eval_decision for e in untouched} == {EvalDecision.ALLOWED}


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_junk_is_invalid(text: str) -> None:
    for entry_text in (text, authenticated(text)):
        assert parse(entry_text, KEY, NOW, 60) is None
        assert age(entry_text, NOW) is None
        assert describe(entry_text) == ("?",)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "1",
        '"x"',
        "[" * 100_000,
        '{"created_at": null}',
        '{"created_at": [1e999, 0]}',
        "9" * 5000,
        "{}",
    ],
)
def test_other_json_is_invalid(text: str) -> None:
    assert parse(text, KEY, NOW, 60) is None
    assert parse(authenticated(text), KEY, NOW, 60) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
PARTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


def typed_value(value: Any) -> Any:
    """Return `value` with its types: Python considers 1, 1.0 and True equal."""
    if isinstance(value, dict):
        return {name: typed_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed_value(item) for item in value]
    return type(value), repr(value)


@settings(deadline=None)
@given(PARTS, PARTS)
def test_different_parts_have_different_keys(a: Any, b: Any) -> None:
    assert (derive_key(a) == derive_key(b)) is (typed_value(a) == typed_value(b))
    assert (derive_key(a).name == derive_key(b).name) is (
        derive_key(a).secret == derive_key(b).secret
    )


class Colour(enum.Enum):
    RED = 1
    GREEN = 1.5


class Other(enum.Enum):
    RED = 1


@frozen
class HidesPart:
    """A value whose repr hides a part of it."""

    shown: int = 1
    hidden: object = field(default="", repr=False)
    uncompared: object = field(default="", compare=False)


@frozen
class Twin:
    """A class with the fields of another."""

    shown: int = 1
    hidden: object = ""
    uncompared: object = ""


@pytest.mark.parametrize(
    ("one", "another"),
    [
        pytest.param("1", 1, id="a text and a number"),
        pytest.param(None, "null", id="nothing and its name"),
        pytest.param({"a": None}, {}, id="nothing and not there"),
        pytest.param(
            "\ud83d\ude00", "\U0001f600", id="two halves of a character and the character"
        ),
        pytest.param("\udcff", "\\udcff", id="bytes that are not text, and how JSON spells them"),
        pytest.param("\udcff", "\udcfe", id="two that are not text"),
        pytest.param("\u00e9", "e\u0301", id="composed and decomposed"),
        pytest.param(["a", "b"], ["b", "a"], id="another order"),
        pytest.param(["a,b"], ["a", "b"], id="one text or two"),
        pytest.param({"a": ["b"], "c": []}, {"a": [], "c": ["b"]}, id="at another place"),
        pytest.param(HidesPart(), HidesPart(hidden="x"), id="what repr hides"),
        pytest.param(HidesPart(), HidesPart(uncompared="x"), id="what == leaves out"),
        pytest.param(HidesPart(), Twin(), id="another class"),
        pytest.param(HidesPart(), repr(HidesPart()), id="a value and its repr"),
        pytest.param(Colour.RED, Colour.GREEN, id="two of an enum"),
        pytest.param(Colour.RED, Other.RED, id="two enums"),
        pytest.param(frozenset({"a"}), frozenset({"a", "b"}), id="a smaller set"),
        pytest.param(
            ContextEntry("aws:SourceIp", "ip", ("1",)),
            ContextEntry("aws:SourceIp", "string", ("1",)),
            id="another type of context",
        ),
        pytest.param(
            ContextEntry("aws:SourceIp", "ip", ("1", "2")),
            ContextEntry("aws:SourceIp", "ip", ("2", "1")),
            id="another order of context",
        ),
    ],
)
def test_similar_parts_have_different_keys(one: object, another: object) -> None:
    assert derive_key({"x": one}) != derive_key({"x": another})
    assert derive_key({"x": one}) == derive_key({"x": one})


def test_key_ignores_order_of_names_and_sets() -> None:
    assert derive_key({"a": {"x": 1, "y": 2}, "b": 0}) == derive_key(
        {"b": 0, "a": {"y": 2, "x": 1}}
    )
    assert derive_key({"x": frozenset("abc")}) == derive_key({"x": frozenset("cba")})


@pytest.mark.parametrize("value", [object(), b"x", {1: "x"}, {None: "x"}, [{("a",): 1}], lambda: 0])
def test_rejects_types_that_may_hide_state(value: object) -> None:
    with pytest.raises(TypeError):
        derive_key({"x": value})


def test_repr_of_key_shows_no_secret() -> None:
    shown = derive_key({"x": "secret"})

    assert "secret" not in repr(shown)


def test_describes_entry_without_key() -> None:
    assert describe(serialize(CACHED, KEY)) == (ALICE, ARN)
    assert describe(serialize(CacheEntry(CALLER, NOW), KEY)) == (ALICE,)


@pytest.mark.parametrize("layer", ["allowed_by_organizations", "allowed_by_permissions_boundary"])
@pytest.mark.parametrize("allowed", [True, False, None])
def test_reads_each_layer_as_written(layer: str, allowed: bool | None) -> None:
    cached = replace(CACHED, evaluations=(replace(ALLOW, **{layer: allowed}),))
    assert parse(serialize(cached, KEY), KEY, NOW, 60) == cached


@pytest.mark.parametrize("layer", ["allowed_by_organizations", "allowed_by_permissions_boundary"])
@pytest.mark.parametrize("junk", [0, 1, 0.0, 1.0, "", "true", []])
def test_layer_of_another_type_is_invalid(layer: str, junk: object) -> None:
    assert parse(spoilt(("evaluations", 0, layer), junk), KEY, NOW, 60) is None


@pytest.mark.parametrize("junk", [1, None, ["x"], True])
def test_text_of_another_type_is_invalid(junk: object) -> None:
    for path in (("caller", "account"), ("questions", 0, "resource_arn")):
        assert parse(spoilt(path, junk), KEY, NOW, 60) is None


def test_age_is_larger_of_both_clocks() -> None:
    text = serialize(CACHED, KEY)

    assert age(text, NOW) == 0
    assert age(text, after(5)) == 5
    assert age(text, after(5, wall=7)) == 7
    assert age(text, after(5, wall=-1)) is None
    assert age(text, after(0.5, wall=0.5)) == 0.5


def test_time_is_read_from_two_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    since_boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # not on every system
    monkeypatch.setattr(time, "time", lambda: 7.0)
    monkeypatch.setattr(time, "clock_gettime", {since_boot: 5.0}.__getitem__)

    assert now() == Timestamp(7.0, 5.0)
