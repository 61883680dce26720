"""The text of a policy: JSON, with the positions that IAM gives for its statements."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ssmgate.policy_language.errors import PolicyError


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text, line and column from 1.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_Position.html
    """

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number by its text: to a policy, quotes around it make no difference."""

    text: str


class Object(dict[str, object]):
    """A JSON object, whose members are distinct."""


@dataclass(frozen=True, slots=True)
class Span:
    """One statement's value, and where IAM says that it stands.

    As recorded of the simulator, `start` is where the token before the statement ended (after
    `[`, or after the `}` of the statement before), and a statement outside a list starts after
    its own `{`. `end` is exclusive. `opening` is where its first character really is, its `{`:
    what a person looks for.
    """

    value: object
    start: Position
    end: Position
    opening: Position


_SPACE = re.compile(r"[ \t\n\r]*")
_NEWLINE = re.compile(r"\r\n|\r|\n")


def read_document(text: str) -> tuple[Object, tuple[Span, ...]]:
    """The members of a policy, and its statements apart.

    Raises PolicyError unless `text` is one JSON object in which no name stands twice.
    """
    try:
        return _Reader(text).document()
    except json.JSONDecodeError as error:
        raise PolicyError(f"no JSON: {error}", line=error.lineno) from None
    except RecursionError:
        raise PolicyError("nested too deeply") from None


def _members(pairs: list[tuple[str, object]]) -> Object:
    members = Object(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PolicyError(f"{twice!r} stands twice in one object")
    return members


def _no_constant(name: str) -> object:
    raise PolicyError(f"{name} is no JSON")


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
        """Read the outer object, and where each of its statements stands.

        Raises JSONDecodeError for text that is not one JSON object, and PolicyError for a
        member that stands twice.
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
