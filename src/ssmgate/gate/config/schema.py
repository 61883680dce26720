"""The keys of the configuration, a line each: type, default, variable, and what tightening is."""

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

USER_PLACEHOLDER = "{user}"
"""In `record.file` and `login.profile`: the unix user's name."""

# A reader takes a value as TOML or a variable has it and returns the value that counts.
# It raises ValueError with what the key is: "mode is …".
Reader = Callable[[Any], Any]
# Takes the value of the tiers above and that of the next one; returns the one that counts.
Merge = Callable[[Any, Any], Any]


class LockedKeyError(Exception):
    """A lower tier would relax a locked key."""


@frozen
class Key:
    """One key. `variable` and `text` are empty where only the system file has it.

    `text` turns a variable's text into what TOML would have given. `merge` is how a lower tier
    goes with the ones above. `tighten` is the same for a locked key: it returns the value that is
    at least as strict as both, and raises `LockedKeyError` where there is none.
    """

    name: str
    read: Reader
    default: Any
    tighten: Merge
    text: Callable[[str], object] | None = str
    merge: Merge = lambda _above, below: below

    @property
    def variable(self) -> str | None:
        """The name of its variable."""
        if self.text is None:
            return None
        return "SSMGATE_" + self.name.upper().replace(".", "_")


# Readers.


def one_of(*words: str) -> Reader:
    """One of the words."""

    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError("is " + " or ".join(repr(word) for word in words))
        return value

    return read


def name(value: Any) -> str:
    """A word that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("is a name")
    return value


def role_arn(value: Any) -> str:
    """The ARN of an IAM role."""
    if not isinstance(value, str) or not value.startswith("arn:") or ":role/" not in value:
        raise ValueError("is the ARN of an IAM role")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("is true or false")  # noqa: TRY004 - read as the other readers are
    return value


def seconds(most: int) -> Reader:
    """Whole seconds up to `most`."""

    def read(value: Any) -> int:
        if type(value) is not int or not 0 <= value <= most:
            raise ValueError(f"is a number of seconds from 0 to {most}")
        return value

    return read


def path(value: Any) -> str:
    """An absolute path without detours."""
    if not isinstance(value, str) or not os.path.isabs(value) or os.path.normpath(value) != value:
        raise ValueError("is an absolute path")
    return value


def syslog(value: Any) -> bool | str:
    """Whether, or to which socket."""
    if isinstance(value, bool):
        return value
    try:
        return path(value)
    except ValueError:
        raise ValueError("is true, false, or the absolute path of syslog's socket") from None


def documents(value: Any) -> tuple[str, ...]:
    """Patterns of session documents."""
    found = _patterns(value)
    if any((":" in p or "/" in p) and not p.startswith("arn:") for p in found):
        raise ValueError("is a list of document names or ARNs, with * and ?")
    return found


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(item, str) and restrictions.PATTERN.match(item) for item in value
    ):
        raise ValueError("is a list of names or ARNs, with * and ?")
    return tuple(value)


def groups_of(read: Reader) -> Reader:
    """A list that another tier may add a second one to: each of them has to match."""
    return lambda value: (read(value),)


def choices(*words: str) -> Reader:
    """Some of the words."""

    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(item in words for item in value):
            raise ValueError("is a list of some of " + ", ".join(repr(word) for word in words))
        return tuple(value)

    return read


def endpoints(value: Any) -> tuple[str, ...]:
    """Hosts, each perhaps with a port and a scheme, as origins."""
    items = value if isinstance(value, list) else [None]
    found = [allowed_origin(item) if isinstance(item, str) else None for item in items]
    if None in found:
        raise ValueError("is a list of HOST, HOST:PORT, or either behind https:// or http://")
    return tuple(str(one) for one in found)


def context(value: Any) -> dict[str, object]:
    """Condition keys with their values."""
    if not isinstance(value, dict):
        raise ValueError("is a table")  # noqa: TRY004
    for key_name, item in value.items():
        if key_name.lower() in FIXED_KEYS:
            raise ValueError(f".{key_name} is ssmgate's own to fill in")
        try:
            configured_context({key_name: item})
        except ValueError as error:
            raise ValueError(f".{key_name} {error}") from error
    return value


# A variable's text.


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("is a JSON object of condition keys") from None


def _flag_text(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


def _number_text(text: str) -> object:
    return int(text) if text.isascii() and text.isdigit() else text


def _list_text(text: str) -> object:
    return text.split(",") if text else []


# What goes together.


def same(above: Any, below: Any) -> Any:
    """There is no tighter value than the one above: it may only be repeated."""
    if above != below or type(above) is not type(below):
        raise LockedKeyError
    return above


def tightest(strictest: Any) -> Merge:
    """One value is tighter than all others."""

    def tighten(above: Any, below: Any) -> Any:
        if below == strictest and type(below) is type(strictest):
            return below
        return same(above, below)

    return tighten


def least(above: Any, below: Any) -> Any:
    """The smaller one is tighter."""
    return below if below <= above else same(above, below)


def added(above: Any, below: Any) -> Any:
    """Where there is none, there may be one."""
    return same(above, below) if above else below


def both(above: Any, below: Any) -> Any:
    """Both lists count."""
    return (*above, *(item for item in below if item not in above))


def _merge_context(above: Mapping[str, object], below: Mapping[str, object]) -> Any:
    # IAM's condition keys have no case.
    said = {key_name.lower() for key_name in below}
    return {**{k: v for k, v in above.items() if k.lower() not in said}, **below}


def _same_context(above: Mapping[str, object], below: Mapping[str, object]) -> Any:
    return same(above, _merge_context(above, below))


KEYS = {
    key.name: key
    for key in (
        # Neither of two checkers is stricter, and any condition key may turn a no into a yes.
        Key("mode", one_of("enforce", "permissive"), "enforce", tightest("enforce")),
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
        Key("cache.ttl", seconds(900), 60, least, _number_text),
        Key("daemon", one_of("off", "on", "auto"), "on", tightest("off")),
        Key("aws.path", path, None, same),
        Key("aws.allowed_endpoints", endpoints, (), same, None),
        Key("plugin.path", path, None, same),
        Key("plugin.pass_credentials", flag, False, same, _flag_text),
        # Of `ssmgate login`.
        Key("login.aws_config_file", path, None, same, None),
        Key("login.aws_credentials_file", path, None, same, None),
        Key("login.home", path, "/var/empty", same, None),
        Key("login.profile", name, None, same, None),
        Key("login.options", choices("region", "profile"), (), same, None),
    )
}
"""In the order in which `config show` lists them."""

TABLES = frozenset(key.partition(".")[0] for key in KEYS if "." in key)

VARIABLES = {key.variable: key for key in KEYS.values() if key.variable is not None}
