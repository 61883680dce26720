"""Frozen values: dataclasses whose methods are written once here, not generated for each class.

A start defines some forty of them. The generated methods of each are compiled anew in every
process, which took an eighth of its time.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """As `dataclass(frozen=True, slots=True)`: `field`, `fields`, `replace` and `match` go with it.

    A value can be copied and pickled. Both make the new value by calling the class with the
    fields, so that `__post_init__` checks it as it checks every other; there is no `__setstate__`
    that could change a value. A class that defines `__reduce__` itself keeps its own.

    Not for classes that are ordered, inherit fields or have keyword-only ones.
    """
    for method in (__init__, __repr__, __eq__, __hash__, __setattr__, __delattr__):
        setattr(cls, method.__name__, method)
    if "__reduce__" not in vars(cls):
        cls.__reduce__ = __reduce__  # type: ignore[method-assign]
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else dataclass works out a signature
    return dataclass(init=False, repr=False, eq=False, slots=True)(cls)


def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - a class gets it
    known = fields(self)
    if len(args) > len(known):
        raise TypeError(f"{type(self).__name__} takes {len(known)} arguments, not {len(args)}")
    given = {one.name: argument for one, argument in zip(known, args, strict=False)}
    if twice := given.keys() & kwargs.keys():
        raise TypeError(f"{type(self).__name__}: {', '.join(twice)} given twice")
    given |= kwargs
    for one in known:
        item = given.pop(one.name) if one.name in given else _default(self, one)
        object.__setattr__(self, one.name, item)
    if given:
        raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _default(self: Any, one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    if one.default_factory is MISSING:
        raise TypeError(f"{type(self).__name__} lacks {one.name}")
    return one.default_factory()


def __repr__(self: Any) -> str:  # noqa: N807
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def __reduce__(self: Any) -> tuple[type, tuple[Any, ...]]:  # noqa: N807
    return type(self), tuple(getattr(self, one.name) for one in fields(self))


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, one.name) for one in fields(self) if one.compare)


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
