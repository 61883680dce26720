"""The request context: case-insensitive keys with one or several values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one key in the request.

    `multivalued` is the key's type and not the number of its values: a multivalued key that
    happens to hold one value still needs a set operator.
    """

    values: tuple[str, ...]
    multivalued: bool = False


class Context:
    """The condition context of one request.

    `entries` has a string for a single-valued key and a list for a multivalued key (types
    `…List` of iam:SimulatePrincipalPolicy). Numbers, dates, addresses, booleans and binary
    values are strings, as in the API. An empty list is an absent key. Whether a value is valid
    for its type is not checked.

    Raises ValueError if two keys differ only in case, and TypeError for a value of another type.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
    """

    __slots__ = ("_entries", "_names")

    def __init__(self, entries: Mapping[str, str | Sequence[str]] | None = None) -> None:
        self._entries: dict[str, Values] = {}
        self._names: dict[str, str] = {}
        for key, value in (entries or {}).items():
            folded = key.lower()
            if folded in self._names:
                raise ValueError(f"context keys {self._names[folded]!r} and {key!r} are one key")
            values = (value,) if isinstance(value, str) else tuple(value)
            if not all(isinstance(item, str) for item in values):
                raise TypeError(f"context key {key!r}: values are strings")
            self._names[folded] = key
            if values:
                self._entries[folded] = Values(values, multivalued=not isinstance(value, str))

    def get(self, key: str) -> Values | None:
        """Return the values of `key`, or None if the request lacks it."""
        return self._entries.get(key.lower())

    def get_lower(self, folded: str) -> Values | None:
        """Return the values of the key whose name in lower case is `folded`, None if absent."""
        return self._entries.get(folded)

    def single(self, key: str) -> str | None:
        """Return the value of `key` for a policy variable: None for a multivalued key as well."""
        found = self.get(key)
        return None if found is None or found.multivalued else found.values[0]

    def __contains__(self, key: str) -> bool:
        return key.lower() in self._entries

    def __iter__(self) -> Iterator[str]:
        return (self._names[folded] for folded in self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(frozenset(self._entries.items()))

    def __repr__(self) -> str:
        entries = {
            self._names[key]: found.values if found.multivalued else found.values[0]
            for key, found in self._entries.items()
        }
        return f"Context({entries!r})"
