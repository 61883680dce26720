"""Frozen dataclasses whose methods are written once here, not generated for each class.

A session start defines some forty of them. Generated methods are compiled again in every process,
which took an eighth of its time.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Return `cls` as `dataclass(frozen=True, slots=True)` would, also for `field` and `replace`.

    A value can be copied and pickled. Both make the new value by calling the class with the
    fields, so that `__post_init__` checks it too; there is no `__setstate__` that could change a
    value. A `__reduce__` of the class itself is not replaced.

    Not for classes that are ordered, inherit fields or have keyword-only fields.
    """
    for method in (__init__, __repr__, __eq__, __hash__, __setattr__, __delattr__):
        setattr(cls, method.__name__, method)
    if "__reduce__" not in vars(cls):
        cls.__reduce__ = __reduce__  # type: ignore[method-assign]
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else dataclass computes a signature
    return dataclass(init=False, repr=False, eq=False, slots=True)(cls)


def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - becomes a method
    members = fields(self)
    if len(args) > len(members):
        raise TypeError(f"{type(self).__name__} takes {len(members)} arguments, not {len(args)}")
    given = {member.name: argument for member, argument in zip(members, args, strict=False)}
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"{type(self).__name__}: {', '.join(twice)} given twice")
    given |= kwargs
    for member in members:
        item = given.pop(member.name) if member.name in given else _default(self, member)
        object.__setattr__(self, member.name, item)
    if given:
        raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _default(self: Any, member: Field[Any]) -> Any:
    if member.default is not MISSING:
        return member.default
    if member.default_factory is MISSING:
        raise TypeError(f"{type(self).__name__} lacks {member.name}")
    return member.default_factory()


def __repr__(self: Any) -> str:  # noqa: N807
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def __reduce__(self: Any) -> tuple[type, tuple[Any, ...]]:  # noqa: N807
    return type(self), tuple(getattr(self, f.name) for f in fields(self))


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, f.name) for f in fields(self) if f.compare)


def __eq__(self: Any, other: object) -> Any:  # noqa: N807
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def __hash__(self: Any) -> int:  # noqa: N807
    return hash(_compared(self))


def __setattr__(self: Any, name: str, _value: object) -> None:  # noqa: N807
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: Any, name: str) -> None:  # noqa: N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")
