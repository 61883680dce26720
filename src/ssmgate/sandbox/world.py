"""Read the sandbox's seed from TOML: nodes, documents, principals and policies."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from ssmgate.gate.decision.arn import RESERVED_PREFIXES
from ssmgate.policy_language import PolicyError, parse_policy

_NAME = re.compile(r"[\w+=,.@-]{1,64}\Z", re.ASCII)
_PATH = re.compile(r"/(?:[\x21-\x7e]+/)?\Z")
_NODE = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?\Z")
_DOCUMENT = re.compile(r"[a-zA-Z0-9_\-.]{3,128}\Z")
_AWS_MANAGED = re.compile(r"arn:aws:iam::aws:policy/[\w+=,.@/-]+\Z", re.ASCII)

# The smallest content of a session document.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
_STANDARD_STREAM = {
    "schemaVersion": "1.0",
    "description": "Document to hold regional settings for Session Manager",
    "sessionType": "Standard_Stream",
    "inputs": {},
}
_DOCUMENT_TYPES = ("Session", "Command", "Automation")


class WorldError(ValueError):
    """An invalid seed. The text is the place and the reason."""


@dataclass(frozen=True, slots=True)
class Node:
    """An EC2 instance, stopped if it is not `online`.

    `ports` maps ports of the node to ports of this machine; any other port is the same.
    """

    node_id: str
    online: bool
    tags: Mapping[str, str]
    ports: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """An SSM document of the account; `content` is JSON."""

    name: str
    document_type: str
    content: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A managed or service control policy: its name, path and JSON."""

    name: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, group or role.

    `policies` maps names of inline policies to JSON. `attached` and `boundary` are names of
    managed policies in the seed, or ARNs of AWS managed policies.
    """

    name: str
    path: str
    policies: Mapping[str, str]
    attached: tuple[str, ...]
    boundary: str | None
    groups: tuple[str, ...]
    tags: Mapping[str, str]
    mfa: bool


@dataclass(frozen=True, slots=True)
class World:
    """A seed. `default_name` is the user or role whose credentials a command gets by default."""

    account: str
    region: str
    default_name: str
    nodes: tuple[Node, ...]
    documents: tuple[Document, ...]
    managed_policies: tuple[NamedPolicy, ...]
    service_control_policies: tuple[NamedPolicy, ...]
    groups: tuple[Principal, ...]
    users: tuple[Principal, ...]
    roles: tuple[Principal, ...]


def default() -> World:
    """Return the seed that comes with ssmgate."""
    return parse(resources.files("ssmgate.sandbox").joinpath("world.toml").read_text("utf-8"))


def parse(text: str) -> World:
    """Parse a seed.

    Raises `WorldError` for invalid TOML, an unknown key, a wrong type, a name that AWS would
    reject, a duplicate name, an invalid policy, and a reference to a missing policy or group.
    Whether an AWS managed policy exists is checked when it is attached.
    """
    try:
        whole = _Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WorldError(f"not TOML: {error}") from error
    account = whole.text("account", "111122223333")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise whole.wrong("account", "is not twelve digits")
    region = whole.text("region", "us-east-1")
    if not re.fullmatch(r"[a-z]{2}-[a-z]+-[0-9]", region):
        raise whole.wrong("region", "is not a region of the commercial partition")
    managed = tuple(_named_policy(table) for table in whole.tables("managed_policy"))
    groups = tuple(_principal(table, "group") for table in whole.tables("group"))
    users = tuple(_principal(table, "user") for table in whole.tables("user"))
    roles = tuple(_principal(table, "role") for table in whole.tables("role"))
    names = [principal.name for principal in (*users, *roles)]
    if not names:
        raise WorldError("a world has at least one [[user]] or [[role]]")
    world = World(
        account,
        region,
        whole.text("as", names[0]),
        tuple(_node(table) for table in whole.tables("node")),
        tuple(_document(table) for table in whole.tables("document")),
        managed,
        tuple(_named_policy(table) for table in whole.tables("service_control_policy")),
        groups,
        users,
        roles,
    )
    whole.finish()
    _check_names(world)
    return world


def _check_names(world: World) -> None:
    # --as could not distinguish a user and a role with the same name.
    for what, names in (
        ("user or role", [p.name for p in (*world.users, *world.roles)]),
        ("group", [p.name for p in world.groups]),
        ("managed_policy", [p.name for p in world.managed_policies]),
        ("service_control_policy", [p.name for p in world.service_control_policies]),
        ("node", [n.node_id for n in world.nodes]),
        ("document", [d.name for d in world.documents]),
    ):
        if duplicate := next((name for name in names if names.count(name) > 1), None):
            raise WorldError(f"{what} {duplicate!r} stands twice")
    if world.default_name not in {p.name for p in (*world.users, *world.roles)}:
        raise WorldError(f"as = {world.default_name!r} is neither a user nor a role of this world")
    managed = {p.name for p in world.managed_policies}
    groups = {p.name for p in world.groups}
    for principal in (*world.groups, *world.users, *world.roles):
        boundary = () if principal.boundary is None else (principal.boundary,)
        for name in (*principal.attached, *boundary):
            if name not in managed and not _AWS_MANAGED.match(name):
                raise WorldError(
                    f"{principal.name!r}: {name!r} is neither a managed_policy of this world nor"
                    " the ARN of one of AWS's, arn:aws:iam::aws:policy/NAME"
                )
        if missing := next((name for name in principal.groups if name not in groups), None):
            raise WorldError(f"{principal.name!r}: there is no group {missing!r}")


class _Table:
    """A TOML table with its place in the seed and the keys that have not been read."""

    def __init__(self, place: str, values: Mapping[str, object]) -> None:
        self.place = place
        self._left = dict(values)

    def wrong(self, key: str, why: str) -> WorldError:
        """Return the error about `key` of this table: its place, the key, and `why`."""
        return WorldError(f"{self.place}{': ' if self.place else ''}{key} {why}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string, required if there is no default. Raises `WorldError`."""
        value = self._left.pop(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str):
            raise self.wrong(key, f"is a string, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean, not a string such as "true". Raises `WorldError`."""
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"is true or false, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty if it is missing. Raises `WorldError`."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"is a list of strings, not {value!r}")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, object]:
        """Return a table, empty if it is missing; its values are not checked.

        Raises `WorldError` for a value that is not a table.
        """
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"is a table, not {value!r}")
        return value

    def tags(self) -> dict[str, str]:
        """Return the table `tags` of strings. AWS's limits are not checked.

        Raises `WorldError` for a value that is not a string.
        """
        tags = self.mapping("tags")
        for name, value in tags.items():
            if not isinstance(value, str):
                raise self.wrong(f"tags.{name}", f"is a string, not {value!r}")
        return {name: str(value) for name, value in tags.items()}

    def json(self, key: str, value: object) -> str:
        """Return `value` of `key` as JSON: a string unchanged, a table converted.

        Whether a string is JSON is not checked. Raises `WorldError` for another type, and for a
        table that cannot be converted.
        """
        if isinstance(value, dict):
            try:
                return json.dumps(value, indent=2)
            except TypeError as error:  # TOML has dates, JSON has none
                raise self.wrong(key, f"cannot be written as JSON: {error}") from error
        if not isinstance(value, str):
            raise self.wrong(key, "is JSON in a string, or a table")
        return value

    def policy(self, key: str, value: object) -> str:
        """Return `value` of `key` as a policy's JSON. Raises `WorldError` if it is not valid."""
        text = self.json(key, value)
        try:
            parse_policy(text, key)
        except PolicyError as error:
            raise self.wrong(key, f"is no policy: {error}") from error
        return text

    def pop(self, key: str) -> object:
        """Return the value of `key`, unchecked; None if it is missing."""
        return self._left.pop(key, None)

    def tables(self, key: str) -> list[_Table]:
        """Return the tables `[[key]]`, in order, with numbered places. Raises `WorldError`."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"is written [[{key}]]")
        return [_Table(f"{key} {number}", item) for number, item in enumerate(value, start=1)]

    def name(self, pattern: re.Pattern[str], what: str, key: str = "name") -> str:
        """Return a string that matches `pattern`, and add it to this table's place in errors.

        Raises `WorldError` if it does not match; `what` completes "… is not".
        """
        name = self.text(key)
        if not pattern.match(name):
            raise self.wrong(key, f"{name!r} is not {what}")
        self.place = f"{self.place} ({name})"
        return name

    def finish(self) -> None:
        """Raise `WorldError` if a key was not read."""
        for key in self._left:
            raise self.wrong(repr(key), "is not a key here")


def _node(table: _Table) -> Node:
    node = Node(
        table.name(_NODE, "an instance id, i- and 8 or 17 hexadecimal digits", "id"),
        table.flag("online", True),
        table.tags(),
        _ports(table),
    )
    table.finish()
    return node


def _ports(table: _Table) -> dict[int, int]:
    ports = {}
    for name, value in table.mapping("ports").items():
        local_port = value if isinstance(value, int) and not isinstance(value, bool) else 0
        if not (re.fullmatch(r"[0-9]{1,5}", name) and _is_port(int(name)) and _is_port(local_port)):
            raise table.wrong("ports", f"{name} = {value!r} is not a port and another's number")
        ports[int(name)] = local_port
    return ports


def _is_port(number: int) -> bool:
    return 0 < number < 65536


def _document(table: _Table) -> Document:
    name = table.name(_DOCUMENT, "a document's name")
    if name.lower().startswith(RESERVED_PREFIXES):
        raise table.wrong("name", "begins with a prefix that is reserved for AWS's own documents")
    document_type = table.text("type", "Session")
    if document_type not in _DOCUMENT_TYPES:
        raise table.wrong("type", f"is one of {', '.join(_DOCUMENT_TYPES)}")
    given = table.pop("content")
    content = json.dumps(_STANDARD_STREAM) if given is None else table.json("content", given)
    try:
        known = "schemaVersion" in json.loads(content)
    except (ValueError, TypeError) as error:
        raise table.wrong("content", f"is not JSON: {error}") from error
    if not known:
        raise table.wrong("content", "has no schemaVersion")
    document = Document(name, document_type, content, table.tags())
    table.finish()
    return document


def _path(table: _Table) -> str:
    path = table.text("path", "/")
    if not _PATH.match(path):
        raise table.wrong("path", f"{path!r} does not begin and end with /")
    return path


def _named_policy(table: _Table) -> NamedPolicy:
    name = table.name(_NAME, "a policy's name")
    policy = NamedPolicy(name, _path(table), table.policy("policy", table.pop("policy")))
    table.finish()
    return policy


def _principal(table: _Table, kind: str) -> Principal:
    name = table.name(_NAME, f"a {kind}'s name")
    path = _path(table)
    policies = {
        inline: table.policy(f"policies.{inline}", value)
        for inline, value in table.mapping("policies").items()
    }
    attached = table.texts("attached")
    group = kind == "group"
    principal = Principal(
        name,
        path,
        policies,
        attached,
        boundary=None if group else table.text("boundary", "") or None,
        groups=table.texts("groups") if kind == "user" else (),
        tags={} if group else table.tags(),
        mfa=table.flag("mfa", False) if kind == "role" else False,
    )
    table.finish()
    return principal
