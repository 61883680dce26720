"""The seed: the default one, and the errors of an invalid one."""

from __future__ import annotations

import pytest

from ssmgate.sandbox import seed
from ssmgate.sandbox.seed_table import SeedError

USER = '[[user]]\nname = "u"\n'
MEMBER = "[[member]]\naccount = '222233334444'\n"
ALLOW = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)


def test_loads_default_seed() -> None:
    found = seed.default()
    assert found.default_name == "alice"
    assert [user.name for user in found.home.users] == [
        "alice", "bob", "carol", "dave", "erin", "frank", "admin",
    ]  # fmt: skip
    assert [(role.path, role.name) for role in found.home.roles] == [
        ("/", "Ops"),
        ("/bastion/", "SessionUser"),
    ]
    assert [node.online for node in found.nodes] == [True, True, False]


def test_loads_minimal_seed() -> None:
    found = seed.parse(USER)
    assert (found.home.account_id, found.region, found.default_name) == (
        "111122223333",
        "us-east-1",
        "u",
    )


def test_policy_may_be_table() -> None:
    found = seed.parse(
        USER
        + '[user.policies.All]\nVersion = "2012-10-17"\n'
        + '[[user.policies.All.Statement]]\nEffect = "Allow"\nAction = "*"\nResource = "*"\n'
    )
    assert '"Effect": "Allow"' in found.home.users[0].policies["All"]


def test_reads_ports_of_node() -> None:
    node = '[[node]]\nid = "i-01234567"\n'
    found = seed.parse(USER + node + "ports = { 22 = 2222, 5432 = 15432 }")
    assert found.nodes[0].ports == {22: 2222, 5432: 15432}
    assert seed.parse(USER + node).nodes[0].ports == {}


def test_reads_session_and_trust_of_role() -> None:
    trust = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}'
    (role,) = seed.parse(
        f"[[role]]\nname = 'r'\ntrust = '{trust}'\n[role.session]\nsource_identity = 'alice'\n"
        f"policy = '{ALLOW}'\ntags = {{ Team = 'ops' }}\n"
    ).home.roles
    assert role.trust == trust
    assert (role.session.tags, role.session.source_identity) == ({"Team": "ops"}, "alice")
    assert role.session.policy == ALLOW


@pytest.mark.parametrize("ports", ["{ 22 = 0 }", "{ 22 = true }", "{ 0 = 1 }", "{ 65536 = 1 }",
                                   "{ ssh = 22 }", '{ 22 = "22" }'])  # fmt: skip
def test_rejects_invalid_port(ports: str) -> None:
    node = f'[[node]]\nid = "i-01234567"\nports = {ports}'
    with pytest.raises(SeedError, match=r"node 1 \(i-01234567\): ports "):
        seed.parse(USER + node)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "not TOML: "),
        (f"a = {'[' * 5000}", "nested too deeply"),
        ("", r"a seed file must have at least one \[\[user\]\] or \[\[role\]\]"),
        (USER + "color = 1", "user 1 \\(u\\): 'color' is an unknown key"),
        ('colour = "x"\n' + USER, "'colour' is an unknown key"),
        ("account = 1\n" + USER, "account must be a string, not 1"),
        ('account = "12"\n' + USER, "account is not twelve digits"),
        ('region = "mars"\n' + USER, "region is not a region"),
        ('as = "v"\n' + USER, "as = 'v' is neither a user nor a role"),
        (USER + '[[role]]\nname = "u"', "duplicate user or role 'u'"),
        (USER + 'path = "x"', "path 'x' does not begin and end with /"),
        (USER + "attached = 1", "attached must be a list of strings, not 1"),
        (USER + 'attached = ["p"]', "'p' is neither a managed_policy of this file nor"),
        (USER + 'boundary = "p"', "'p' is neither a managed_policy of this file nor"),
        (USER + 'groups = ["g"]', "there is no group 'g'"),
        (USER + "tags = { a = 1 }", "tags.a must be a string, not 1"),
        (USER + "mfa = true", "'mfa' is an unknown key"),
        (
            "[[role]]\nname = 'r'\ntrust = '{}'",
            r"\(r\): trust is an invalid policy: missing S",
        ),
        (f"[[role]]\nname = 'r'\ntrust = '{ALLOW}'", "trust is an invalid policy: Principal: "),
        ("[[role]]\nname = 'r'\n[role.session]\nx = 1", r"\(r\): session: 'x' is an unknown key"),
        (
            "[[role]]\nname = 'r'\n[role.session]\npolicy = '{}'",
            "session: policy is an invalid p",
        ),
        (USER + "[[member]]\nname = 'x'", "member 1: account is missing"),
        (USER + "[[member]]\naccount = '12'", "member 1: account is not twelve digits"),
        (USER + "[[member]]\naccount = '111122223333'", "duplicate account '111122223333'"),
        (USER + f"{MEMBER}unit = 'x'", "account 222233334444: there is no organizational_unit 'x'"),
        (USER + f"{MEMBER}[[member.user]]\nname = 'v'\ngroups = ['g']", "there is no group 'g'"),
        (USER + "[[organizational_unit]]\nname = 'a'\nparent = 'b'", "parent 'b' is not an"),
        ("management = '222233334444'\n" + USER, "management = '222233334444' is not an account"),
        (
            USER + f"[[service_control_policy]]\nname = 'p'\npolicy = '{ALLOW}'\nattached = ['x']",
            "service_control_policy 'p': 'x' is neither root nor an organizational_unit",
        ),
        (USER + "trust = '{}'", "'trust' is an unknown key"),
        (
            USER + "policies = { p = '{}' }",
            "policies.p is an invalid policy: missing Statement",
        ),
        (USER + "[user.policies.p]\nId = 2026-01-01", "p cannot be written as JSON"),
        (USER + "policies = { p = 1 }", "policies.p must be JSON in a string, or a table"),
        (
            "[[managed_policy]]\nname = 'p'\n" + USER,
            "managed_policy 1 \\(p\\): policy must be J",
        ),
        ("[[node]]\n" + USER, "node 1: id is missing"),
        ("[[node]]\nid = 'mi-1'\n" + USER, "id 'mi-1' is not an instance id"),
        ("[[node]]\nid = 'i-12345678'\nonline = 1\n" + USER, "online must be true or false, not 1"),
        ("[node]\nid = 'i-12345678'\n" + USER, r"node must be written as \[\[node\]\]"),
        ("[[document]]\nname = 'AWS-X'\n" + USER, "reserved for AWS's own documents"),
        ("[[document]]\nname = 'Dev'\ntype = 'x'\n" + USER, "type is one of Session, Command"),
        ("[[document]]\nname = 'Dev'\ncontent = '{'\n" + USER, "content is not JSON"),
        ("[[document]]\nname = 'Dev'\ncontent = '{}'\n" + USER, "content has no schemaVersion"),
    ],
)
def test_invalid_seed_is_reported_with_position(text: str, message: str) -> None:
    with pytest.raises(SeedError, match=message):
        seed.parse(text)


def test_reads_accounts_of_organization() -> None:
    found = seed.parse(
        "as = '222233334444/r'\nmanagement = '111122223333'\n"
        "[[organizational_unit]]\nname = 'a'\n"
        "[[organizational_unit]]\nname = 'b'\nparent = 'a'\nfull_access = false\n"
        f"{MEMBER}unit = 'b'\n[[member.role]]\nname = 'r'\n"
        f"[[service_control_policy]]\nname = 'p'\npolicy = '{ALLOW}'\nattached = ['b', 'root']\n"
        f"[[service_control_policy]]\nname = 'q'\npolicy = '{ALLOW}'\n"
    )
    home, member = found.accounts
    assert (found.label(home, "r"), found.label(member, "r")) == ("r", "222233334444/r")
    assert (member.unit, [role.name for role in member.roles]) == ("b", ["r"])
    assert [(u.name, u.parent, u.full_access) for u in found.units] == [
        ("a", None, True),
        ("b", "a", False),
    ]
    assert [p.attached for p in found.service_control_policies] == [("b", "root"), ("root",)]


def test_accepts_existing_references() -> None:
    found = seed.parse(
        f"[[managed_policy]]\nname = 'p'\npolicy = '{ALLOW}'\n[[group]]\nname = 'g'\n{USER}"
        "attached = ['p', 'arn:aws:iam::aws:policy/ReadOnlyAccess']\nboundary = 'p'\n"
        "groups = ['g']\n"
    )
    assert found.home.users[0].groups == ("g",)
