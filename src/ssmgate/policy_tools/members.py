"""Read members of JSON objects whose types are known. `place` is that of the object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmgate.policy_tools.problem import InputError


def text(item: Mapping[str, Any], name: str, place: str) -> str:
    """Return a text that has to be there. Raises InputError."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise InputError("must be a string", f"{place}.{name}")
    return value


def objects(item: Mapping[str, Any], name: str, place: str) -> list[Mapping[str, Any]]:
    """Return a list of objects, empty if there is none. Raises InputError."""
    values = item.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InputError("must be a list of objects", f"{place}.{name}")
    return values


def texts(item: Mapping[str, Any], name: str, place: str) -> list[str]:
    """Return a list of texts, empty if there is none. Raises InputError."""
    values = item.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError("must be a list of strings", f"{place}.{name}")
    return values
