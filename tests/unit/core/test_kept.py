from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmgate.core.decision import Permit, decide
from ssmgate.core.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.core.kept import Kept, Moment, about, age, fingerprint, read, write
from ssmgate.core.question import Caller, ContextEntry, Question
from ssmgate.core.request import SessionRequest

ARN = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"
ALICE = "arn:aws:iam::111122223333:user/alice"
CALLER = Caller("111122223333", ALICE, ALICE, "AIDA", "User", "aws", True, (("team", "ops"),))
QUESTION = Question(ALICE, ARN, (ContextEntry("aws:userid", "string", ("AIDA",)),))
YES = Evaluation(
    ARN,
    EvalDecision.ALLOWED,
    (MatchedStatement("user_alice_p", "IAM Policy", (1, 2), (3, 4)), MatchedStatement("q")),
    ("aws:SourceIp",),
    True,
    None,
)
KEPT = Kept(CALLER, (QUESTION,), (YES,), (replace(YES, resource_arn=ARN + "x"),))
NOW = Moment(1_700_000_000.0, 5_000.0)
NAME = fingerprint({"a": 1})


def after(seconds: float, *, wall: float | None = None) -> Moment:
    return Moment(NOW.wall + (seconds if wall is None else wall), NOW.boot + seconds)


@pytest.mark.parametrize(
    "kept",
    [
        KEPT,
        Kept(CALLER),
        replace(KEPT, caller=replace(CALLER, principal_tags=None, role_path_known=False)),
        replace(KEPT, evaluations=(replace(YES, eval_decision=EvalDecision.IMPLICIT_DENY),)),
    ],
)
def test_what_is_read_is_what_was_written(kept: Kept) -> None:
    assert read(write(kept, NAME, NOW), NAME, NOW, 60) == kept


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
        pytest.param(Moment(NOW.wall + 5, 10), 60, False, id="after a start of the machine"),
    ],
)
def test_for_how_long(moment: Moment, ttl: int, valid: bool) -> None:
    assert (read(write(KEPT, NAME, NOW), NAME, moment, ttl) is not None) is valid


def test_under_another_name_it_says_nothing() -> None:
    assert read(write(KEPT, NAME, NOW), fingerprint({"a": 2}), NOW, 60) is None


def members(value: Any) -> list[tuple[Any, ...]]:
    """The path to everything inside of a JSON value."""
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return []
    return [path for key, inner in pairs for path in ((key,), *((key, *p) for p in members(inner)))]


def spoilt(path: tuple[Any, ...], junk: object) -> str:
    said = json.loads(write(KEPT, NAME, NOW))
    at = said
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = junk
    return json.dumps(said)


@pytest.mark.parametrize("path", members(json.loads(write(KEPT, NAME, NOW))), ids=str)
@pytest.mark.parametrize("junk", [{}, [], [[]], 7, 0.5, True, "x", math.nan], ids=repr)
def test_a_changed_entry_never_permits_what_was_not_allowed(
    path: tuple[Any, ...], junk: object
) -> None:
    """It is not read, or it is decided upon as any answer: never an exception."""
    found = read(spoilt(path, junk), NAME, NOW, 60)
    if found is not None and found.questions == KEPT.questions:
        permitted = isinstance(
            decide(SessionRequest("i-1"), found.questions, found.evaluations), Permit
        )
        untouched = [e for e in found.evaluations if e.resource_arn == ARN]
        assert not permitted or {e.eval_decision for e in untouched} == {EvalDecision.ALLOWED}


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_junk_is_no_entry(text: str) -> None:
    assert read(text, NAME, NOW, 60) is None
    assert age(text, NOW) is None
    assert about(text) == ("?",)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"', "[" * 100_000, '{"made": null}', "{}"])
def test_json_of_another_kind_is_no_entry(text: str) -> None:
    assert read(text, NAME, NOW, 60) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), VALUES), st.dictionaries(st.text(max_size=3), VALUES))
def test_different_parts_have_different_fingerprints(a: Any, b: Any) -> None:
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)

    assert (fingerprint(a) == fingerprint(b)) is same


def test_a_fingerprint_shows_no_secret_and_takes_any_text() -> None:
    assert "secret" not in fingerprint({"key": "secret"})
    assert fingerprint({"key": "\udcff"}) != fingerprint({"key": "\udcfe"})
