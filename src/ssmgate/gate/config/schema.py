"""The keys of the configuration: type, default, environment variable, and how to tighten them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from ssmgate.gate.decision import restrictions
from ssmgate.gate.decision.allowed_endpoints import allowed_origin
from ssmgate.gate.decision.context import configured_context
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import FIXED_KEYS

SYSLOG_FORMATS = ("auto", "journald", "rfc3164", "rfc5424")

USER_PLACEHOLDER = "{user}"
"""In `record.file` and `login.profile`: the unix user's name."""

# A reader takes a value from TOML or an environment variable, and returns the effective value.
# It raises ValueError with what the key has to be: "mode is …".
Reader = Callable[[Any], Any]
# Takes the value of the tiers above and that of the next one; returns the effective one.
Merge = Callable[[Any, Any], Any]


class LockedKeyError(Exception):
    """A lower tier would relax a locked key."""


@frozen
class Key:
    """One key. `variable` and `text` are None if it can be set only in the system file.

    `text` converts the text of an environment variable to a TOML value. `merge` merges the value of
    a lower tier with that of the tiers above. `tighten` is the same for a locked key: it returns a
    value at least as strict as both, and raises `LockedKeyError` if there is none.
    """

    name: str
    read: Reader
    default: Any
    tighten: Merge
    text: Callable[[str], object] | None = str
    merge: Merge = lambda _above, below: below

    @property
    def variable(self) -> str | None:
        """Return the name of its environment variable."""
        if self.text is None:
            return None
        return "SSMGATE_" + self.name.upper().replace(".", "_")


# Readers.


def one_of(*words: str) -> Reader:
    """Return a reader for one of `words`."""

    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError("must be " + " or ".join(repr(word) for word in words))
        return value

    return read


def name(value: Any) -> str:
    """Read a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a string that is not empty")
    return value


def role_arn(value: Any) -> str:
    """Read the ARN of an IAM role."""
    if not isinstance(value, str) or not value.startswith("arn:") or ":role/" not in value:
        raise ValueError("must be the ARN of an IAM role")
    return value


def flag(value: Any) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - the error of every reader
    return value


def seconds(most: int) -> Reader:
    """Return a reader for whole seconds up to `most`."""

    def read(value: Any) -> int:
        if type(value) is not int or not 0 <= value <= most:
            raise ValueError(f"must be a whole number of seconds from 0 to {most}")
        return value

    return read


def path(value: Any) -> str:
    """Read an absolute, normalized path."""
    if not isinstance(value, str) or not os.path.isabs(value) or os.path.normpath(value) != value:
        raise ValueError("must be an absolute path")
    return value


def syslog(value: Any) -> bool | str:
    """Read whether syslog is used, or the path of its socket."""
    if isinstance(value, bool):
        return value
    try:
        return path(value)
    except ValueError:
        raise ValueError("must be true, false or the absolute path of a syslog socket") from None


def documents(value: Any) -> tuple[str, ...]:
    """Read a list of patterns for session documents."""
    found = _patterns(value)
    if any((":" in p or "/" in p) and not p.startswith("arn:") for p in found):
        raise ValueError("must be a list of document names or ARNs; * and ? are wildcards")
    return found


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(item, str) and restrictions.PATTERN.match(item) for item in value
    ):
        raise ValueError("must be a list of names or ARNs; * and ? are wildcards")
    return tuple(value)


def groups_of(read: Reader) -> Reader:
    """Return a reader for a list to which other tiers add theirs: each list has to match."""
    return lambda value: (read(value),)


def choices(*words: str) -> Reader:
    """Return a reader for a list of some of `words`."""

    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(item in words for item in value):
            raise ValueError(
                "must be a list of some of: " + ", ".join(repr(word) for word in words)
            )
        return tuple(value)

    return read


def endpoints(value: Any) -> tuple[str, ...]:
    """Read a list of hosts, with optional port and scheme, and return their origins."""
    items = value if isinstance(value, list) else [None]
    found = [allowed_origin(item) if isinstance(item, str) else None for item in items]
    if None in found:
        raise ValueError("must be a list of HOST, HOST:PORT or https://HOST:PORT")
    return tuple(str(host_origin) for host_origin in found)


def context(value: Any) -> dict[str, object]:
    """Read a table of condition keys with their values."""
    if not isinstance(value, dict):
        raise ValueError("must be a table of condition keys")  # noqa: TRY004
    for key_name, item in value.items():
        if key_name.lower() in FIXED_KEYS:
            raise ValueError(f".{key_name} is set by ssmgate itself, and cannot be configured")
        try:
            configured_context({key_name: item})
        except ValueError as error:
            raise ValueError(f".{key_name} {error}") from error
    return value


# The text of an environment variable.


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("must be a JSON object of condition keys") from None


def _flag_text(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


def _number_text(text: str) -> object:
    return int(text) if text.isascii() and text.isdigit() else text


def _list_text(text: str) -> object:
    return text.split(",") if text else []


# Merging values.


def same(above: Any, below: Any) -> Any:
    """Return `above`. Raise `LockedKeyError` unless `below` repeats it."""
    if above != below or type(above) is not type(below):
        raise LockedKeyError
    return above


def tightest(strictest: Any) -> Merge:
    """Return the tightening of a key for which `strictest` is tighter than all other values."""

    def tighten(above: Any, below: Any) -> Any:
        if below == strictest and type(below) is type(strictest):
            return below
        return same(above, below)

    return tighten


def least(above: Any, below: Any) -> Any:
    """Return the smaller value, which must be `below`. Raises `LockedKeyError`."""
    return below if below <= above else same(above, below)


def added(above: Any, below: Any) -> Any:
    """Return `above`, or `below` if `above` is not set. Raises `LockedKeyError`."""
    return same(above, below) if above else below


def both(above: Any, below: Any) -> Any:
    """Return both lists, joined."""
    return (*above, *(item for item in below if item not in above))


def _merge_context(above: Mapping[str, object], below: Mapping[str, object]) -> Any:
    # IAM's condition keys are case-insensitive.
    names = {key_name.lower() for key_name in below}
    return {**{k: v for k, v in above.items() if k.lower() not in names}, **below}


def _same_context(above: Mapping[str, object], below: Mapping[str, object]) -> Any:
    return same(above, _merge_context(above, below))


KEYS = {
    key.name: key
    for key in (
        # Neither of two checkers is stricter, and any condition key may make a denial an allow.
        Key("mode", one_of("enforce", "permissive"), "enforce", tightest("enforce")),
        Key("on_unknown", one_of("deny", "service"), "deny", tightest("deny")),
        Key("allow_wildcard_grants", flag, True, tightest(False), _flag_text),
        Key("checker.profile", name, None, same),
        Key("checker.role_arn", role_arn, None, same),
        Key("context", context, {}, _same_context, _json, _merge_context),
        Key("documents.allow", groups_of(documents), (), both, _list_text),
        Key("documents.deny", documents, (), both, _list_text),
        Key("targets.allow", groups_of(_patterns), (), both, _list_text),
        Key("require_reason", flag, False, tightest(True), _flag_text),
        Key("record.file", path, None, added),
        Key("record.syslog", syslog, False, added, _flag_text),
        Key("record.required", flag, False, tightest(True), _flag_text),
        # Fewer parameters are safer if they contain secrets, and worse for an audit.
        Key("record.parameters", one_of("all", "names", "none"), "all", same),
        Key("record.chain", flag, False, tightest(True), _flag_text),
        Key("record.syslog_format", one_of(*SYSLOG_FORMATS), "auto", same),
        Key("cache.ttl", seconds(900), 60, least, _number_text),
        Key("daemon", one_of("off", "on", "auto"), "on", tightest("off")),
        Key("aws.path", path, None, same),
        Key("aws.allowed_endpoints", endpoints, (), same, None),
        Key("plugin.path", path, None, same),
        Key("plugin.pass_credentials", flag, False, same, _flag_text),
        # For `ssmgate login`.
        Key("login.aws_config_file", path, None, same, None),
        Key("login.aws_credentials_file", path, None, same, None),
        Key("login.home", path, "/var/empty", same, None),
        Key("login.profile", name, None, same, None),
        Key("login.options", choices("region", "profile"), (), same, None),
        Key("login.confine_plugin", flag, True, tightest(True), None),
    )
}
"""In the order in which `config show` lists them."""

TABLES = frozenset(key.partition(".")[0] for key in KEYS if "." in key)

VARIABLES = {key.variable: key for key in KEYS.values() if key.variable is not None}
