"""Read the JSON of a policy, with the positions that IAM reports for its statements."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ssmgate.policy_language.errors import PolicyError


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in a text; line and column are counted from 1.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_Position.html
    """

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as its text: in a policy, a number and the same number in quotes are equal."""

    text: str


class Object(dict[str, object]):
    """A JSON object without duplicate members."""


@dataclass(frozen=True, slots=True)
class Span:
    """A statement's value, and the positions that IAM reports for it.

    As recorded from the simulator, `start` is the end of the token before the statement (after
    `[`, or after the `}` of the previous statement); a statement outside a list starts after its
    own `{`. `end` is exclusive. `opening` is the position of its `{`, which is shown to users.
    """

    value: object
    start: Position
    end: Position
    opening: Position


_SPACE = re.compile(r"[ \t\n\r]*")
_NEWLINE = re.compile(r"\r\n|\r|\n")


def read_document(text: str) -> tuple[Object, tuple[Span, ...]]:
    """Return the members of a policy, and its statements with their positions.

    Raises PolicyError unless `text` is one JSON object without duplicate members.
    """
    try:
        return _Reader(text).document()
    except json.JSONDecodeError as error:
        raise PolicyError(
            f"invalid JSON: {error.msg} (column {error.colno})", line=error.lineno
        ) from None
    except RecursionError:
        raise PolicyError("JSON is nested too deeply") from None


def _members(pairs: list[tuple[str, object]]) -> Object:
    members = Object(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise PolicyError(f"duplicate key {duplicate!r} in one object")
    return members


def _no_constant(name: str) -> object:
    raise PolicyError(f"invalid JSON: {name} is not a JSON value")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_members,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_no_constant,
        )

    def document(self) -> tuple[Object, tuple[Span, ...]]:
        """Return the outer object, and its statements with their positions.

        Raises JSONDecodeError for text that is not one JSON object, and PolicyError for a
        duplicate member.
        """
        pairs: list[tuple[str, object]] = []
        spans: tuple[Span, ...] = ()
        self._take("{")
        while not self._skip("}"):
            if pairs:
                self._take(",")
            name = self._value()
            if not isinstance(name, str):
                raise json.JSONDecodeError("expecting a name", self._text, self._at)
            self._take(":")
            if name == "Statement":
                spans = self._statements()
                pairs.append((name, spans))
            else:
                pairs.append((name, self._value()))
        if self._space() != len(self._text):
            raise json.JSONDecodeError("extra data", self._text, self._at)
        return _members(pairs), spans

    def _statements(self) -> tuple[Span, ...]:
        if not self._skip("["):
            opening = self._space()
            value = self._value()
            return (self._span(value, opening + 1, opening),)
        spans: list[Span] = []
        start = self._at
        while not self._skip("]"):
            if spans:
                self._take(",")
            opening = self._space()
            value = self._value()
            spans.append(self._span(value, start, opening))
            start = self._at
        return tuple(spans)

    def _span(self, value: object, start: int, opening: int) -> Span:
        at = self._position
        return Span(value, at(start), at(self._at), at(opening))

    def _value(self) -> object:
        value: object
        value, self._at = self._decoder.raw_decode(self._text, self._space())
        return value

    def _space(self) -> int:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _skip(self, token: str) -> bool:
        found = self._text.startswith(token, self._space())
        self._at += found
        return found

    def _take(self, token: str) -> None:
        if not self._skip(token):
            raise json.JSONDecodeError(f"expecting {token!r}", self._text, self._at)

    def _position(self, offset: int) -> Position:
        line_starts = [0, *(found.end() for found in _NEWLINE.finditer(self._text, 0, offset))]
        return Position(len(line_starts), offset - line_starts[-1] + 1)
