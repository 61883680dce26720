"""`ssmgate complete`: print the values that the shell completions offer, one per line.

It runs at every TAB, so it does not import click, and imports awscli only if its cache is empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import NoReturn

from ssmgate.commands import completion_cache
from ssmgate.gate import exits, process
from ssmgate.gate.decision import printable
from ssmgate.gate.system.file_state import file_state

_SECONDS = 3.0
_TTL, _TTL_AFTER_FAILURE = 60.0, 10.0
_LARGEST = 1 << 20
_LONGEST = 60
_NODE = re.compile(r"m?i-[0-9a-f]{8,40}")
_DOCUMENT = re.compile(r"[A-Za-z0-9_.:/-]{3,200}")


@dataclass(frozen=True, slots=True)
class Place:
    """The options typed so far that select an account, a region and an endpoint; None if absent."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None

    @classmethod
    def of(cls, words: list[str]) -> Place:
        """Return the options in the words up to the cursor. The unfinished last word is ignored."""
        values: dict[str, str] = {}
        options = {f"--{name.replace('_', '-')}": name for name in cls.__slots__}
        for number, word in enumerate(words[:-1]):
            option, equals, value = word.partition("=")
            if option not in options:
                continue
            if equals:
                values[options[option]] = value
            elif number + 2 < len(words):
                values[options[option]] = words[number + 1]
        return cls(**{name: value for name, value in values.items() if value})


def run(argv: list[str]) -> NoReturn:
    """Print the candidates for `argv`, as `complete` returns them, and exit.

    Nothing is printed to standard error.
    """
    try:
        candidates = complete(argv)
        status = exits.USAGE if candidates is None else exits.OK
        _print(candidates or ())
    except KeyboardInterrupt:
        status = exits.INTERRUPTED
    except Exception:
        status = exits.OTHER
    process.leave(status)


def complete(argv: list[str]) -> list[str] | None:
    """Return lines `candidate TAB description` for `argv`, the words after `ssmgate complete`.

    The list is empty if nothing was found, for any reason. Returns None for words that ssmgate's
    completions never pass. Prints nothing, because the user is typing.
    """
    kind, quoted = argv[:1], "--quoted" in argv[1:2]
    words = argv[2:] if quoted else argv[1:]
    if kind == [] or kind[0] not in _KINDS or words[:1] != ["--"]:
        return None
    words = [_unquoted(word) for word in words[1:]] if quoted else words[1:]
    return _KINDS[kind[0]](Place.of(words))


def _print(rows: Iterable[str]) -> None:
    """Write `rows`, each a completion and optionally a tab and a description, to standard output.

    A row that is not printable is left out, as a shell inserts it unchanged.
    """
    shown = [row for row in rows if printable.is_printable(row.replace("\t", "", 1))]
    sys.stdout.write("".join(f"{row}\n" for row in shown))


def _unquoted(word: str) -> str:
    """Return the word with its quotes removed as in bash, without expansions."""
    with contextlib.suppress(ValueError):
        return "".join(shlex.split(word))
    return word


# From the configuration files


def _profiles(_: Place) -> list[str]:
    found = dict.fromkeys(
        name
        for kind, name, _ in _settings(os.environ)
        if kind == "profile" and printable.is_printable(name)
    )
    return sorted(found)


def _regions(_: Place) -> list[str]:
    found = {
        value for kind, key, value in _settings(os.environ) if (kind, key) == ("key", "region")
    }
    found |= {os.environ.get(name, "") for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    return sorted(name for name in found if re.fullmatch(r"[a-z0-9-]+", name))


def _settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield ("profile", name, "") and ("key", name, value) from the AWS configuration files."""
    for path, is_config in zip(_files(environ), (True, False), strict=True):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            for line in file.read(_LARGEST).splitlines():
                if header := re.match(r"\[(.+)\]", line):
                    name = _profile(header[1].strip()) if is_config else header[1]
                    if name is not None:
                        yield "profile", name, ""
                elif setting := re.match(r"(\w+)\s*[=:]\s*(\S+)\s*$", line):
                    yield "key", setting[1].lower(), setting[2]


def _profile(header: str) -> str | None:
    """Return the profile that a section of the configuration file defines, or None."""
    if header == "default":
        return header
    try:
        word, name = shlex.split(header)
    except ValueError:  # not two words, or an unclosed quote
        return None
    return name if word == "profile" else None


def _files(environ: Mapping[str, str]) -> tuple[str, str]:
    return (
        os.path.expanduser(environ.get("AWS_CONFIG_FILE") or "~/.aws/config"),
        os.path.expanduser(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"),
    )


# From AWS


def _targets(place: Place) -> list[str]:
    return _listed("targets", place, _NODE)


def _documents(place: Place) -> list[str]:
    return _listed("documents", place, _DOCUMENT)


_KINDS = {
    "profiles": _profiles,
    "regions": _regions,
    "targets": _targets,
    "documents": _documents,
}


def _listed(kind: str, place: Place, pattern: re.Pattern[str]) -> list[str]:
    """Return AWS's answer, or one cached in the last minute; empty if AWS is too slow."""
    home, name = os.path.expanduser("~"), f"{kind}.{_key(place)}"
    candidates: list[list[str]] = []
    try:
        text = completion_cache.read(home, name, _TTL)
        cached = json.loads(text) if text is not None else None
        if cached is not None and (
            cached["found"] or time.time() - cached["at"] <= _TTL_AFTER_FAILURE
        ):
            candidates = cached["found"]
        else:
            answer = _list_in_child(kind, place)
            candidates = json.loads(answer) if answer else []
            completion_cache.write(home, name, json.dumps({"at": time.time(), "found": candidates}))
        return [
            f"{item}\t{printable.line(description[:_LONGEST])}" if description else item
            for item, description in candidates
            if pattern.fullmatch(item)
        ]
    except (ValueError, TypeError, KeyError):  # a corrupt cache file
        return []


def _key(place: Place) -> str:
    """Return a key for the account and region: options, environment variables and files."""
    import hashlib

    files = []
    for path in _files(os.environ):
        files.append((path, file_state(path)))
    variables = sorted((k, v) for k, v in os.environ.items() if k.startswith("AWS_"))
    parts = json.dumps([astuple(place), variables, files, os.geteuid()])
    return hashlib.sha256(parts.encode(errors="surrogateescape")).hexdigest()


def _list_in_child(kind: str, place: Place) -> bytes:
    """List in a child process, and kill it and everything that it started after `_SECONDS`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(kind, place, writing)
    os.close(writing)
    answer, deadline = b"", time.monotonic() + _SECONDS
    try:
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([reading], [], [], left)[0]:
                return b""
            part = os.read(reading, 65536)
            if not part:
                return answer
            answer += part
        return b""
    finally:
        # Its group may have a credential_process. Until waitpid its number is not reused.
        for end in (os.kill, os.killpg):
            with contextlib.suppress(OSError):
                end(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)


def _child(kind: str, place: Place, writing: int) -> NoReturn:
    """List in the child: without a terminal, so that nothing can prompt, and with an alarm."""
    try:
        os.setsid()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        from ssmgate.explain.inventory import Listing

        listing = Listing(*astuple(place))
        items = listing.targets() if kind == "targets" else listing.documents()
        with os.fdopen(writing, "w") as pipe:
            json.dump(items, pipe)
    finally:
        os._exit(0)
