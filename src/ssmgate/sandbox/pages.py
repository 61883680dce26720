"""Pages of a list: MaxResults and NextToken."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ssmgate.sandbox.faults import ServiceFault

Item = TypeVar("Item")


def page(
    items: Sequence[Item],
    matches: Callable[[Item], bool],
    name: Callable[[Item], str],
    members: Mapping[str, Any],
    most: int,
    default: int | None = None,
) -> tuple[list[Item], str | None]:
    """Return a page of those `items` that match, and the token for the next page, if any.

    The token is the `name` of the last item of a page, so that items that come or go in between
    move no other. That the filters are still the same is not checked. `default` is the size of a
    page without MaxResults, by default `most`.

    Raises `ServiceFault`: ValidationException for a MaxResults outside of 1 to `most`, and
    InvalidNextToken.
    """
    size = members.get("MaxResults", most if default is None else default)
    if not isinstance(size, int) or not 1 <= size <= most:
        raise ServiceFault(
            "ValidationException",
            f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy"
            f" constraint: Member must have value between 1 and {most}, inclusive",
        )
    first = _after(items, name, members["NextToken"]) if members.get("NextToken") else 0
    found = [item for item in items[first:] if matches(item)]
    if len(found) <= size:
        return found, None
    return found[:size], _token(name(found[size - 1]))


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _after(items: Sequence[Item], name: Callable[[Item], str], token: object) -> int:
    """Return the index of the first item after that of the token."""
    try:
        wanted = base64.urlsafe_b64decode(str(token).encode()).decode()
        return [name(item) for item in items].index(wanted) + 1
    except (binascii.Error, ValueError):
        raise ServiceFault("InvalidNextToken", "The specified token is not valid.") from None
