"""Read the tables of a seed, with errors that name the place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from ssmgate.policy_language import PolicyError, parse_policy


class SeedError(ValueError):
    """An invalid seed. The text is the place and the reason."""


class Table:
    """A TOML table with its place in the seed and the keys that have not been read."""

    def __init__(self, place: str, values: Mapping[str, object]) -> None:
        self.place = place
        self._left = dict(values)

    def wrong(self, key: str, why: str) -> SeedError:
        """Return the error about `key` of this table: its place, the key, and `why`."""
        return SeedError(f"{self.place}{': ' if self.place else ''}{key} {why}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string, required if there is no default. Raises `SeedError`."""
        value = self._left.pop(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str):
            raise self.wrong(key, f"must be a string, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean, not a string such as "true". Raises `SeedError`."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"must be true or false, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty if it is missing. Raises `SeedError`."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"must be a list of strings, not {value!r}")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, object]:
        """Return a table, empty if it is missing; its values are not checked.

        Raises `SeedError` for a value that is not a table.
        """
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"must be a table, not {value!r}")
        return value

    def tags(self) -> dict[str, str]:
        """Return the table `tags` of strings. AWS's limits are not checked.

        Raises `SeedError` for a value that is not a string.
        """
        tags = self.mapping("tags")
        for name, value in tags.items():
            if not isinstance(value, str):
                raise self.wrong(f"tags.{name}", f"must be a string, not {value!r}")
        return {name: str(value) for name, value in tags.items()}

    def json(self, key: str, value: object) -> str:
        """Return `value` of `key` as JSON: a string unchanged, a table converted.

        Whether a string is JSON is not checked. Raises `SeedError` for another type, and for a
        table that cannot be converted.
        """
        if isinstance(value, dict):
            try:
                return json.dumps(value, indent=2)
            except TypeError as error:  # TOML has dates, JSON has none
                raise self.wrong(key, f"cannot be written as JSON: {error}") from error
        if not isinstance(value, str):
            raise self.wrong(key, "must be JSON in a string, or a table")
        return value

    def policy(self, key: str, value: object, parse: Callable[[str], object] = parse_policy) -> str:
        """Return `value` of `key` as a policy's JSON. Raises `SeedError` if it is not valid.

        `parse` reads the policy and raises `PolicyError`.
        """
        text = self.json(key, value)
        try:
            parse(text)
        except PolicyError as error:
            raise self.wrong(key, f"is an invalid policy: {error}") from error
        return text

    def pop(self, key: str) -> object:
        """Return the value of `key`, unchecked; None if it is missing."""
        return self._left.pop(key, None)

    def tables(self, key: str) -> list[Table]:
        """Return the tables `[[key]]`, in order, with numbered places. Raises `SeedError`."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"must be written as [[{key}]]")
        return [Table(f"{key} {number}", item) for number, item in enumerate(value, start=1)]

    def name(self, pattern: re.Pattern[str], what: str, key: str = "name") -> str:
        """Return a string that matches `pattern`, and add it to this table's place in errors.

        Raises `SeedError` if it does not match; `what` completes "… is not".
        """
        name = self.text(key)
        if not pattern.match(name):
            raise self.wrong(key, f"{name!r} is not {what}")
        self.place = f"{self.place} ({name})"
        return name

    def finish(self) -> None:
        """Raise `SeedError` if a key was not read."""
        for key in self._left:
            raise self.wrong(repr(key), "is an unknown key")
