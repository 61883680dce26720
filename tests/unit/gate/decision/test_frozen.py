"""`frozen` compared with `dataclass(frozen=True)`."""

from __future__ import annotations

import ast
import copy
import dataclasses
import enum
import importlib
import pickle
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import house
import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.gate.decision import reason_kinds
from ssmgate.gate.decision.decision import Permit
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.request import SessionRequest


def example(decorate: Callable[[type], type]) -> Any:
    class Example:
        """An example."""

        name: str
        secret: str = dataclasses.field(repr=False)
        order: tuple[str, ...] = dataclasses.field(default=("a",), compare=False)
        made: list[int] = dataclasses.field(default_factory=list, compare=False)

    return decorate(Example)


STANDARD = example(dataclasses.dataclass(frozen=True, slots=True))
OURS = example(frozen)

CASES: dict[str, Callable[[Any], object]] = {
    "repr": lambda c: repr(c("n", "s")).replace("<locals>", ""),
    "positional": lambda c: c("n", "s", ("b",)).order,
    "by name": lambda c: c(secret="s", name="n").name,
    "default": lambda c: c("n", "s").order,
    "equal": lambda c: c("n", "s") == c("n", "s", ("z",)),
    "not equal": lambda c: c("n", "s") == c("n", "t"),
    "not equal to a tuple": lambda c: c("n", "s") == ("n", "s"),
    "hash": lambda c: hash(c("n", "s")) == hash(c("n", "s", ("z",))),
    "in a set": lambda c: len({c("n", "s"), c("n", "s"), c("m", "s")}),
    "replace": lambda c: dataclasses.replace(c("n", "s"), name="m").name,
    "fields": lambda c: [f.name for f in dataclasses.fields(c)],
    "match": lambda c: c.__match_args__,
    "astuple": lambda c: dataclasses.astuple(c("n", "s")),
    "slots": lambda c: c.__slots__,
    "no dict": lambda c: hasattr(c("n", "s"), "__dict__"),
    "doc": lambda c: c.__doc__,
    "a new list for each value": lambda c: c("n", "s").made is c("n", "s").made,
    "assign": lambda c: setattr(c("n", "s"), "name", "m"),
    "delete": lambda c: delattr(c("n", "s"), "name"),
    "too few": lambda c: c("n"),
    "too many": lambda c: c("n", "s", ("a",), [], 5),
    "twice": lambda c: c("n", "s", name="n"),
    "unknown": lambda c: c("n", "s", other=1),
    "replace an unknown": lambda c: dataclasses.replace(c("n", "s"), other=1),
}


def outcome(case: Callable[[Any], object], cls: Any) -> object:
    try:
        return case(cls)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("name", CASES)
def test_frozen_behaves_as_dataclass(name: str) -> None:
    assert outcome(CASES[name], OURS) == outcome(CASES[name], STANDARD)


def test_post_init_may_reject_values() -> None:
    @frozen
    class Picky:
        name: str

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("empty")

    with pytest.raises(ValueError, match="empty"):
        Picky("")
    with pytest.raises(ValueError, match="empty"):
        dataclasses.replace(Picky("n"), name="")


def classes() -> list[type]:
    """Return each class of ssmgate that is `frozen` in the source."""
    found = []
    for module in house.modules():
        names = [
            node.name
            for node in ast.walk(ast.parse(module.read_text()))
            if isinstance(node, ast.ClassDef)
            and any(ast.unparse(one) == "frozen" for one in node.decorator_list)
        ]
        if names:
            path = ".".join(("ssmgate", *module.relative_to(house.SOURCE).with_suffix("").parts))
            loaded = importlib.import_module(path)
            found += [getattr(loaded, name) for name in names]
    return found


def value_of(kind: Any) -> Any:
    """Return a value of the type `kind`. A text is a valid name of a document."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return value_of(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        return tuple(value_of(one) for one in arguments if one is not ...)
    if origin in (frozenset, list):
        return origin([value_of(arguments[0])])
    if origin in (dict, Mapping):
        return {value_of(arguments[0]): value_of(arguments[1])}
    if origin is not None:
        return len  # what can be called
    if dataclasses.is_dataclass(kind) and kind is not Permit:
        return example_of(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    return {int: 7, float: 7.5, bool: True, bytes: b"7"}.get(kind, "Dev-Shell")


def example_of(cls: Any) -> Any:
    hints = typing.get_type_hints(cls, localns=vars(reason_kinds))  # imported for mypy only
    return cls(*(value_of(hints[field.name]) for field in dataclasses.fields(cls)))


FROZEN = classes()


@pytest.mark.parametrize("cls", FROZEN, ids=lambda cls: cls.__qualname__)
def test_values_are_copied_and_pickled(cls: Any) -> None:
    value = example_of(cls)
    made = [copy.copy(value), copy.deepcopy(value)]
    if cls is not Permit:
        made += [pickle.loads(pickle.dumps(value, level)) for level in range(6)]

    for other in made:
        assert other == value
        assert dataclasses.astuple(other) == dataclasses.astuple(value)
        assert repr(other) == repr(value)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(other, dataclasses.fields(cls)[0].name, "x")
    assert not hasattr(value, "__setstate__")


@pytest.mark.parametrize("cls", FROZEN, ids=lambda cls: cls.__qualname__)
def test_repr_omits_fields_with_secrets(cls: Any) -> None:
    secret = {"secret", "token"}
    for field in dataclasses.fields(cls):
        if secret & set(field.name.split("_")):
            assert not field.repr, field.name


def test_unpickling_validates_values() -> None:
    made, arguments = SessionRequest("i-1", "Dev-Shell").__reduce__()

    with pytest.raises(InvalidRequest):
        made(*("a b" if one == "Dev-Shell" else one for one in arguments))
