"""Mask names and IDs of an account in a report; equal values get equal masks everywhere."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from ssmgate.gate.decision.arn import AWS_OWNED_PREFIXES
from ssmgate.gate.decision.printable import line

# The types in ARNs whose names are masked, and the word that the mask begins with.
_KINDS = {
    "user": "user",
    "role": "role",
    "group": "group",
    "policy": "policy",
    "assumed-role": "role",
    "document": "document",
    "task": "cluster",
}
_ARN_NAME = re.compile(
    r"arn:[a-z-]*:(?:iam|sts|ssm|ecs):[a-z0-9-]*:[0-9]*:"
    r"(?P<kind>user|role|group|policy|assumed-role|document|task)/(?P<name>[^\s\"',;)\]}*?$]+)"
)
# Names of AWS's documents, which are the same in every account.
_PUBLIC = (*AWS_OWNED_PREFIXES, "SSM-SessionManager")
# Words of ARNs, which reveal nothing if they are used as names.
_WORDS = {*_KINDS, *_KINDS.values(), "aws", "arn", "iam", "sts", "ssm", "ecs", "ec2", "instance"}
_SSO_PATH = "aws-reserved/sso.amazonaws.com/"

# An escape by `printable.line` ends in letters or digits, which do not belong to the next word.
_SHOWN = r"(?<=\\[nrt])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=\\U[0-9a-f]{8})"
_START = rf"(?:\b|{_SHOWN})"

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_UNIQUE_ID = "A(?:BIA|CCA|GPA|IDA|IPA|KIA|NPA|NVA|PKA|ROA|SCA|SIA)[0-9A-Z]{12,}"

_SHORTEST_ID = 16

# The values of aws:userid that name a session: ROLE-ID:SESSION and ACCOUNT:NAME.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
_USER_ID = re.compile(
    rf"(?:(?<![0-9a-zA-Z:])|{_SHOWN})(?:{_UNIQUE_ID}|[0-9]{{12}}):(?P<session>[\w+=,.@-]{{,63}}[\w+=@-])"
    r"(?![\w:/])"
)

# The end of IAM's access denied messages: a link to the console, and the ID by itself.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied-authorization-id.html
_AUTHORIZATION = re.compile(r"(?:authorization id: |/authorization-details/)([0-9A-Za-z-]+)")

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ADDRESS = rf"(?:(?<![0-9.])|{_SHOWN})(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9.])"
# A version has four numbers too, most of them one above 255.
_IS_VERSION = re.compile(r"(?:agent|plugin|release|version|awscli)[ /:v]*$", re.IGNORECASE)

_IDS = (
    (
        "account",
        re.compile(rf"(?:(?<![0-9a-zA-Z])|{_SHOWN})[0-9]{{12}}(?![0-9a-zA-Z])"),
        "{:012d}",
    ),
    ("mi", re.compile(_START + r"mi-[0-9a-zA-Z]{8,}\b"), "mi-{:017d}"),
    ("i", re.compile(rf"(?:(?<![0-9a-zA-Z-])|{_SHOWN})i-[0-9a-zA-Z]{{8,}}\b"), "i-{:017d}"),
    ("other", re.compile(_START + r"(?:vpce|vpc|subnet|sg|o|ou|r)-[0-9a-z]{8,}\b"), "id-{:08d}"),
    ("id", re.compile(rf"{_START}{_UNIQUE_ID}\b"), "ID{:018d}"),
    ("address", re.compile(_ADDRESS), "192.0.2.{}"),
    ("mail", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "person-{}@example.com"),
)


class Redactor:
    """Replaces account IDs, names and resource IDs consistently: equal values get equal masks.

    Names are learnt from ARNs, so `learn` everything first: a name is then also replaced outside
    ARNs (`role_NAME_INLINE`). Regions, AWS's own documents, the default document's name, context
    keys, tag values and Sids are not masked: review those before you publish.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._user_ids: set[str] = set()  # of any form, without the name of a session
        self._counts: dict[str, int] = {}

    def name(self, name: str, kind: str) -> None:
        """Mask `name` wherever it is a word of its own. `kind` is the beginning of the mask."""
        known = name in self._names or name in self._names.values()
        if len(name) >= 2 and not known and name not in _WORDS and not name.startswith(_PUBLIC):
            # In its form in JSON, and in its escaped form in text.
            self._names[name] = self._names[line(name)] = f"{kind}-{self._count(kind)}"

    def learn(self, value: Any) -> None:
        """Learn the names in the ARNs in `value`: a text, or lists and mappings of texts."""
        self._user_ids |= {one.partition(":")[0] for one in _user_ids(value)}
        for text in _texts(value):
            for found in _ARN_NAME.finditer(text):
                self._learn(found["kind"], found["name"])
            for found in _USER_ID.finditer(text):
                self.name(found["session"], "session")
            for found in _AUTHORIZATION.finditer(text):
                self.name(found[1], "authorization")

    def _learn(self, kind: str, path: str) -> None:
        parts = path.split("/")
        if kind in ("assumed-role", "task"):
            self.name(parts[0], _KINDS[kind])
            # The ID of a task, or the name of a session, which is often a user's name.
            if len(parts) > 1:
                self.name(parts[1], "task" if kind == "task" else "session")
            return
        if kind == "document":
            self.name(path, _KINDS[kind])
            return
        *directories, last = path.removeprefix(_SSO_PATH).split("/")
        self.name(last, _KINDS[kind])
        for directory in directories:
            self.name(directory, "path")

    def text(self, text: str) -> str:
        """Return `text` masked, after learning the names in it."""
        self.learn(text)
        # In one pass, because a mask must not be masked again.
        if names := "|".join(re.escape(n) for n in sorted(self._names, key=len, reverse=True)):
            # An underscore joins names in IAM's IDs of inline policies.
            word = rf"(?:(?<![0-9a-zA-Z.@+=-])|{_SHOWN})(?:{names})(?![0-9a-zA-Z@+=-])"
            text = re.sub(word, lambda found: self._names[found[0]], text)
        for user_id in sorted(self._user_ids):
            if len(user_id) >= _SHORTEST_ID and user_id not in self._ids.values():
                masked = functools.partial(self._id, "id", "ID{:018d}")
                text = re.sub(re.escape(user_id), masked, text)
        for kind, pattern, form in _IDS:
            text = pattern.sub(functools.partial(self._id, kind, form), text)
        return text

    def json(self, value: Any) -> Any:
        """Return a JSON value with every string in it masked, but not the names of members."""
        self.learn(value)
        return self._json(value)

    def _json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._json(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self._json(member) for member in value]
        return value

    def _id(self, kind: str, form: str, match: re.Match[str]) -> str:
        identifier = match[0]
        if kind == "address" and _IS_VERSION.search(match.string[: match.start()]):
            return identifier
        if identifier in self._ids.values():
            return identifier
        if identifier not in self._ids:
            self._ids[identifier] = form.format(self._count(kind))
        return self._ids[identifier]

    def _count(self, kind: str) -> int:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]


def _user_ids(value: Any) -> Iterator[str]:
    """Yield the values of aws:userid among the context keys of a report."""
    if isinstance(value, dict):
        if str(value.get("key")).lower() == "aws:userid":
            yield from value.get("values") or ()
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for member in value:
            yield from _user_ids(member)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)
