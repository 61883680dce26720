"""Parse a user's command line on a bastion: only start-session with a few options is allowed."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.printable import is_printable
from ssmgate.gate.decision.request import DocumentName, SessionRequest

LONGEST = 4096
"""Characters of a command line."""

_FORMS = (
    ("aws", "ssm", "start-session"),
    ("ssmgate", "start-session"),
    ("ssm-start-session",),
    ("start-session",),
)
_USUAL = ("target", "document-name", "reason", "parameters")
# What StartSession accepts, with colons for targets other than nodes.
_TARGET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9:_.\-]{0,399}\Z")
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+\Z")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+=,.@_\-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A parsed command, with the CLI's values. None if an option was not given."""

    target: str
    document_name: str | None = None
    reason: str | None = None
    parameters: str | None = None
    region: str | None = None
    profile: str | None = None

    def argv(self) -> list[str]:
        """Return the arguments after `aws`, each option and its value in one argument."""
        given = [
            (field.name.replace("_", "-"), getattr(self, field.name)) for field in fields(self)
        ]
        options = [f"--{name}={value}" for name, value in given if value is not None]
        return ["ssm", "start-session", *options]

    def is_read_as(self, request: SessionRequest, region: str | None, profile: str | None) -> bool:
        """Return whether the CLI's parser has read exactly this command from `argv`."""
        read = (request.target, request.document_name, request.reason, region, profile)
        meant = (self.target, self.document_name, self.reason, self.region, self.profile)
        return read == meant and self._parameters_are(request.parameters)

    def _parameters_are(self, read: tuple[tuple[str, tuple[str, ...]], ...] | None) -> bool:
        if self.parameters is None or read is None:
            return self.parameters is None and read is None
        typed: object = None
        with contextlib.suppress(ValueError):
            typed = json.loads(self.parameters)
        if typed is not None:
            return typed == {name: list(values) for name, values in read}
        # In shorthand a value is unchanged, except for escaped quotes.
        return all(text in self.parameters for _name, values in read for text in values)


def read(line: str, permitted: Sequence[str]) -> ParsedCommand:
    """Parse the command `line`, without a shell and without expanding anything.

    `permitted` are options besides the usual ones: `region`, `profile`. Raises `InvalidRequest` for
    anything but start-session with these options. Each must be given once, not abbreviated, and
    with a valid value that does not refer to a file.
    """
    if len(line) > LONGEST:
        raise _invalid(f"the command has more than {LONGEST} characters")
    if not is_printable(line):  # control characters, line ends, and characters that reverse text
        raise _invalid("the command has characters that cannot be printed")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise _invalid(f"the command cannot be parsed: {error}") from error
    for form in _FORMS:
        if tuple(words[: len(form)]) == form:
            return parsed(_options(words[len(form) :], (*_USUAL, *permitted)))
    raise _invalid(f"unknown command {_shown(words[0] if words else '')}")


def parsed(options: dict[str, str]) -> ParsedCommand:
    """Return the command with `options`. Raises `InvalidRequest` for an invalid value."""
    for name, value in options.items():
        if not value:
            raise _invalid(f"--{name} has no value")
        if not is_printable(value) or len(value) > LONGEST:
            raise _invalid(f"--{name} is too long, or has characters that cannot be printed")
        # The CLI would read these files with this user's permissions.
        if re.match(r"\s*fileb?:", value, re.IGNORECASE):
            raise _invalid(f"--{name} must not name a file")
    if not _is_printable_json(options.get("parameters", "")):
        raise _invalid("--parameters has characters that cannot be printed")
    # name@=file://…, with spaces wherever the CLI's shorthand allows them.
    if re.search(r"@\s*=|\bfileb?:", options.get("parameters", ""), re.IGNORECASE):
        raise _invalid("--parameters must not name a file")
    if "target" not in options:
        raise _invalid("--target is missing")
    for name, pattern in (("target", _TARGET), ("region", _REGION), ("profile", _NAME)):
        if name in options and not pattern.match(options[name]):
            raise _invalid(f"{_shown(options[name])} is not a valid --{name}")
    if "document-name" in options:
        DocumentName.parse(options["document-name"])
    return ParsedCommand(**{name.replace("-", "_"): value for name, value in options.items()})


def _is_printable_json(text: str) -> bool:
    """Return whether a JSON text has no escapes of characters that cannot be printed.

    A text that is not JSON has none: the CLI's shorthand has no such escapes.
    """
    try:
        return is_printable("".join(_texts(json.loads(text))))
    except ValueError:
        return True
    except RecursionError:
        return False


def _texts(value: object) -> Iterator[str]:
    """Yield each text in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _options(words: Sequence[str], permitted: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name[2:] not in permitted:
            raise _invalid(f"unknown option {_shown(name)}")
        if name[2:] in options:
            raise _invalid(f"{name} was given more than once")
        if not equals:
            if not remaining or remaining[0].startswith("-"):
                raise _invalid(f"{name} has no value")
            value = remaining.pop(0)
        options[name[2:]] = value
    return options


def _shown(word: str) -> str:
    return repr(word if len(word) <= 60 else word[:60] + "…")


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"refused: {why}",
        hints=(
            "start-session --target NODE [--document-name NAME] [--reason WHY]"
            " [--parameters NAME=VALUE,…]",
        ),
    )
