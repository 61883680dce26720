"""Read the sandbox's seed from TOML: nodes, documents, principals and policies."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from ssmgate.gate.decision.arn import RESERVED_PREFIXES
from ssmgate.policy_language import parse_policy
from ssmgate.sandbox.seed_table import SeedError, Table
from ssmgate.sandbox.trust import parse_trust

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
    """A managed or service control policy: its name, path and JSON.

    `attached` are the targets of a service control policy: `root`, organizational units and
    account IDs.
    """

    name: str
    path: str
    text: str
    attached: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleSession:
    """Session tags, source identity, and the JSON of a session policy."""

    tags: Mapping[str, str]
    source_identity: str | None
    policy: str | None


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, group or role.

    `policies` maps names of inline policies to JSON. `attached` and `boundary` are names of
    managed policies in the seed, or ARNs of AWS managed policies. `trust` is the JSON of a
    role's trust policy, None for one that trusts the role's account. `session` is what the
    seed's session of a role carries.
    """

    name: str
    path: str
    policies: Mapping[str, str]
    attached: tuple[str, ...]
    boundary: str | None
    groups: tuple[str, ...]
    tags: Mapping[str, str]
    mfa: bool
    trust: str | None
    session: RoleSession


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account and what is in it.

    `name` and `unit` are its name in the organization and its organizational unit, None for the
    root. Without `full_access`, FullAWSAccess is not attached to it.
    """

    account_id: str
    name: str
    unit: str | None
    full_access: bool
    nodes: tuple[Node, ...]
    documents: tuple[Document, ...]
    managed_policies: tuple[NamedPolicy, ...]
    groups: tuple[Principal, ...]
    users: tuple[Principal, ...]
    roles: tuple[Principal, ...]

    @property
    def names(self) -> list[str]:
        """Return the names of the users and roles."""
        return [principal.name for principal in (*self.users, *self.roles)]


@dataclass(frozen=True, slots=True)
class Unit:
    """An organizational unit. Its `parent` comes before it in a seed; None is the root."""

    name: str
    parent: str | None
    full_access: bool


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed. `default_name` is the user or role whose credentials a command gets by default.

    The first account is the seed's own, the others are members of its organization. `management`
    is the management account, which service control policies do not restrict; None if the seed
    names none.
    """

    region: str
    default_name: str
    accounts: tuple[Account, ...]
    units: tuple[Unit, ...]
    service_control_policies: tuple[NamedPolicy, ...]
    management: str | None

    @property
    def home(self) -> Account:
        """Return the seed's own account."""
        return self.accounts[0]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes of all accounts."""
        return tuple(node for account in self.accounts for node in account.nodes)

    def label(self, account: Account, name: str) -> str:
        """Return how `--as` names a user or role: with its account, unless that is the first."""
        return name if account is self.home else f"{account.account_id}/{name}"


def default() -> Seed:
    """Return the seed that comes with ssmgate."""
    return parse(resources.files("ssmgate.sandbox").joinpath("seed.toml").read_text("utf-8"))


def parse(text: str) -> Seed:
    """Parse a seed.

    Raises `SeedError` for invalid TOML, an unknown key, a wrong type, a name that AWS would
    reject, a duplicate name, an invalid policy, and a reference to a missing policy, group,
    organizational unit or account. Whether an AWS managed policy exists is checked when it is
    attached.
    """
    try:
        whole = Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SeedError(f"not TOML: {error}") from error
    except RecursionError:
        raise SeedError("nested too deeply") from None
    home = _account(whole, whole.text("account", "111122223333"), "home")
    region = whole.text("region", "us-east-1")
    if not re.fullmatch(r"[a-z]{2}-[a-z]+-[0-9]", region):
        raise whole.wrong("region", "is not a region of the commercial partition")
    members = tuple(_member(table) for table in whole.tables("member"))
    names = [*home.names, *(f"{m.account_id}/{name}" for m in members for name in m.names)]
    if not names:
        raise SeedError("a seed file must have at least one [[user]] or [[role]]")
    seed = Seed(
        region,
        whole.text("as", names[0]),
        (home, *members),
        tuple(_unit(table) for table in whole.tables("organizational_unit")),
        tuple(_named_policy(table, "attached") for table in whole.tables("service_control_policy")),
        whole.text("management", "") or None,
    )
    whole.finish()
    for account in seed.accounts:
        _check_account(account)
    _check_organization(seed)
    if seed.default_name not in names:
        raise SeedError(f"as = {seed.default_name!r} is neither a user nor a role of this file")
    return seed


def _check_account(account: Account) -> None:
    # --as could not distinguish a user and a role with the same name.
    _check_unique("user or role", account.names)
    _check_unique("group", [group.name for group in account.groups])
    _check_unique("managed_policy", [policy.name for policy in account.managed_policies])
    _check_unique("document", [document.name for document in account.documents])
    managed = {p.name for p in account.managed_policies}
    groups = {p.name for p in account.groups}
    for principal in (*account.groups, *account.users, *account.roles):
        boundary = () if principal.boundary is None else (principal.boundary,)
        for name in (*principal.attached, *boundary):
            if name not in managed and not _AWS_MANAGED.match(name):
                raise SeedError(
                    f"{principal.name!r}: {name!r} is neither a managed_policy of this file nor"
                    " the ARN of a managed policy of AWS, arn:aws:iam::aws:policy/NAME"
                )
        if missing := next((name for name in principal.groups if name not in groups), None):
            raise SeedError(f"{principal.name!r}: there is no group {missing!r}")


def _check_organization(seed: Seed) -> None:
    accounts = [account.account_id for account in seed.accounts]
    _check_unique("account", accounts)
    _check_unique("node", [node.node_id for node in seed.nodes])
    _check_unique("service_control_policy", [p.name for p in seed.service_control_policies])
    units = [unit.name for unit in seed.units]
    _check_unique("organizational_unit", units)
    for number, unit in enumerate(seed.units):
        if unit.parent is not None and unit.parent not in units[:number]:
            raise SeedError(
                f"organizational_unit {unit.name!r}: parent {unit.parent!r} is not an"
                " organizational_unit above it"
            )
    for account in seed.accounts:
        if account.unit is not None and account.unit not in units:
            raise SeedError(
                f"account {account.account_id}: there is no organizational_unit {account.unit!r}"
            )
    for policy in seed.service_control_policies:
        for target in policy.attached:
            if target not in ("root", *units, *accounts):
                raise SeedError(
                    f"service_control_policy {policy.name!r}: {target!r} is neither root nor an"
                    " organizational_unit or account of this file"
                )
    if seed.management is not None and seed.management not in accounts:
        raise SeedError(f"management = {seed.management!r} is not an account of this file")


def _check_unique(what: str, names: list[str]) -> None:
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise SeedError(f"duplicate {what} {duplicate!r}")


def _account(table: Table, account_id: str, name: str) -> Account:
    if not re.fullmatch(r"[0-9]{12}", account_id):
        raise table.wrong("account", "is not twelve digits")
    return Account(
        account_id,
        name,
        table.text("unit", "") or None,
        table.flag("full_access", True),
        tuple(_node(each) for each in table.tables("node")),
        tuple(_document(each) for each in table.tables("document")),
        tuple(_named_policy(each) for each in table.tables("managed_policy")),
        tuple(_principal(each, "group") for each in table.tables("group")),
        tuple(_principal(each, "user") for each in table.tables("user")),
        tuple(_principal(each, "role") for each in table.tables("role")),
    )


def _member(table: Table) -> Account:
    account_id = table.text("account")
    member = _account(table, account_id, table.text("name", account_id))
    table.finish()
    return member


def _unit(table: Table) -> Unit:
    name = table.name(_NAME, "an organizational unit's name")
    unit = Unit(name, table.text("parent", "") or None, table.flag("full_access", True))
    table.finish()
    return unit


def _node(table: Table) -> Node:
    node = Node(
        table.name(_NODE, "an instance id, i- and 8 or 17 hexadecimal digits", "id"),
        table.flag("online", True),
        table.tags(),
        _ports(table),
    )
    table.finish()
    return node


def _ports(table: Table) -> dict[int, int]:
    ports = {}
    for name, value in table.mapping("ports").items():
        local_port = value if isinstance(value, int) and not isinstance(value, bool) else 0
        if not (re.fullmatch(r"[0-9]{1,5}", name) and _is_port(int(name)) and _is_port(local_port)):
            raise table.wrong("ports", f"{name} = {value!r} must be two port numbers")
        ports[int(name)] = local_port
    return ports


def _is_port(number: int) -> bool:
    return 0 < number < 65536


def _document(table: Table) -> Document:
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


def _path(table: Table) -> str:
    path = table.text("path", "/")
    if not _PATH.match(path):
        raise table.wrong("path", f"{path!r} does not begin and end with /")
    return path


def _named_policy(table: Table, targets: str | None = None) -> NamedPolicy:
    name = table.name(_NAME, "a policy's name")
    policy = NamedPolicy(
        name,
        _path(table),
        table.policy("policy", table.pop("policy")),
        () if targets is None else table.texts(targets) or ("root",),
    )
    table.finish()
    return policy


def _principal(table: Table, kind: str) -> Principal:
    name = table.name(_NAME, f"a {kind}'s name")
    path = _path(table)
    policies = {
        inline: table.policy(f"policies.{inline}", value)
        for inline, value in table.mapping("policies").items()
    }
    attached = table.texts("attached")
    group, role = kind == "group", kind == "role"
    principal = Principal(
        name,
        path,
        policies,
        attached,
        boundary=None if group else table.text("boundary", "") or None,
        groups=table.texts("groups") if kind == "user" else (),
        tags={} if group else table.tags(),
        mfa=table.flag("mfa", False) if role else False,
        trust=_optional_policy(table, "trust", parse_trust) if role else None,
        session=_role_session(table) if role else RoleSession({}, None, None),
    )
    table.finish()
    return principal


def _role_session(table: Table) -> RoleSession:
    session = Table(f"{table.place}: session", table.mapping("session"))
    found = RoleSession(
        session.tags(),
        session.text("source_identity", "") or None,
        _optional_policy(session, "policy", parse_policy),
    )
    session.finish()
    return found


def _optional_policy(table: Table, key: str, parse: Callable[[str], object]) -> str | None:
    value = table.pop(key)
    return None if value is None else table.policy(key, value, parse)
