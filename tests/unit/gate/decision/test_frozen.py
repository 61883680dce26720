"""`frozen` beside what it stands in for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ssmgate.gate.decision.frozen import frozen


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
    "a list of its own": lambda c: c("n", "s").made is c("n", "s").made,
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
def test_as_the_standard_librarys(name: str) -> None:
    assert outcome(CASES[name], OURS) == outcome(CASES[name], STANDARD)


def test_post_init_may_refuse() -> None:
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
