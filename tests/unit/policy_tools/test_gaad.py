"""Accounts from what iam:GetAccountAuthorizationDetails answers, in each form that it is saved."""

import gzip
import json
import os
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from ssmgate.policy_tools.gaad import Account, read_accounts
from ssmgate.policy_tools.problem import Problem
from unit.policy_tools.accounts import (
    ACCOUNT,
    answer,
    document,
    managed,
    principal,
    statement,
)

SHELL = managed("shell", statement(), older=document(statement("Deny")))
LIMIT = managed("limit", statement(resource="arn:aws:ec2:*:*:instance/*"))
AWS_READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"
USERS = [
    principal(
        "user",
        "ann",
        attached=[SHELL["Arn"]],
        GroupList=["ops"],
        Tags=[{"Key": "team", "Value": "a"}],
    ),
    principal("user", "bob", statement("Deny"), GroupList=["ops"]),
]
GROUPS = [principal("group", "ops", statement(action="ssm:Get*"), attached=[AWS_READ])]
ROLES = [
    principal(
        "role",
        "app",
        attached=[SHELL["Arn"]],
        PermissionsBoundary={"PermissionsBoundaryArn": LIMIT["Arn"]},
    )
]
WHOLE = answer(USERS, GROUPS, ROLES, [SHELL, LIMIT])


def encoded(value):
    """Return the answer with each document URL-encoded, as the API sends it."""
    if isinstance(value, dict):
        return {
            k: quote(json.dumps(v)) if k in ("Document", "PolicyDocument") else encoded(v)
            for k, v in value.items()
        }
    return [encoded(v) for v in value] if isinstance(value, list) else value


PAGES = [
    answer(users=USERS[:1], IsTruncated=True, Marker="a"),
    answer(users=USERS[1:], groups=GROUPS, IsTruncated=True, Marker="b"),
    answer(roles=ROLES, policies=[SHELL, LIMIT], IsTruncated=False),
]
FORMS = {
    "objects": lambda: {"a.json": json.dumps(WHOLE)},
    "indented": lambda: {"a.json": json.dumps(WHOLE, indent=4)},
    "url-encoded": lambda: {"a.json": json.dumps(encoded(WHOLE))},
    "text": lambda: {
        "a.json": json.dumps(encoded(WHOLE)).replace("%22", '\\"').replace("%7B", "{")
    },
    "list of pages": lambda: {"a.json": json.dumps(PAGES)},
    "pages one after the other": lambda: {"a.json": "\n".join(map(json.dumps, PAGES))},
    "a file for each page": lambda: {f"{n}.json": json.dumps(p) for n, p in enumerate(PAGES)},
    "pages of --max-items": lambda: {
        f"{n}.json": json.dumps(
            {k: v for k, v in page.items() if k not in ("IsTruncated", "Marker")}
            | ({"NextToken": "eyJ"} if page["IsTruncated"] else {})
        )
        for n, page in enumerate(PAGES)
    },
    "gzip": lambda: {"a.json.gz": gzip.compress(json.dumps(WHOLE).encode())},
    "below a directory": lambda: {"x/y/a.json": json.dumps(WHOLE), "x/notes.txt": "not JSON"},
    "with a byte order mark": lambda: {"a.json": "\ufeff" + json.dumps(WHOLE)},
}


def written(directory, files):
    for name, content in files.items():
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(directory)


def read(directory, files, about=lambda _: True):
    return list(read_accounts([written(directory, files)], about))


def shown(found):
    (account,) = found
    assert isinstance(account, Account)
    return [
        (
            p.arn,
            p.kind,
            [(h.name, h.arn, h.policy.statements) for h in p.policies],
            p.missing,
            p.tags,
        )
        for p in account.principals
    ]


@pytest.mark.parametrize("form", FORMS)
def test_reads_each_form_as_same_account(form, tmp_path):
    expected = shown(read(tmp_path / "one", FORMS["objects"]()))
    assert shown(read(tmp_path / "two", FORMS[form]())) == expected
    assert len(expected) == 3


def test_principal_has_its_own_policies_and_those_of_its_groups(tmp_path):
    (account,) = read(tmp_path, FORMS["objects"]())
    ann, bob, app = account.principals
    assert account.account == ACCOUNT
    assert [held.name for held in ann.policies] == ["shell", "ops/own"]
    assert [held.name for held in bob.policies] == ["bob/own", "ops/own"]
    assert app.boundary.arn == LIMIT["Arn"]
    assert ann.tags == {"team": "a"}


def test_uses_default_version_of_managed_policy(tmp_path):
    (account,) = read(tmp_path, FORMS["objects"]())
    (only,) = account.principals[0].policies[0].policy.statements
    assert only.effect.value == "Allow"


def test_managed_policy_that_is_not_in_file_is_missing(tmp_path):
    (account,) = read(tmp_path, FORMS["objects"]())
    assert [p.missing for p in account.principals] == [(AWS_READ,), (AWS_READ,), ()]


def test_missing_boundary_and_group_are_named(tmp_path):
    bound = {"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    users = [principal("user", "eve", statement(), GroupList=["none"], PermissionsBoundary=bound)]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer(users))})
    (eve,) = account.principals
    assert eve.missing == ("group none", bound["PermissionsBoundaryArn"])
    assert eve.boundary_missing


def test_omits_other_statements_and_preserves_numbers(tmp_path):
    users = [principal("user", "a", statement(action="s3:Get*"), statement())]
    (account,) = read(
        tmp_path,
        {"a.json": json.dumps(answer(users))},
        lambda one: one["Action"] == "ssm:StartSession",
    )
    (held,) = account.principals[0].policies
    assert held.numbers == (1,)


GOOD = json.dumps(WHOLE)
BAD = {
    "truncated": (GOOD[:-30], "line 1", "is not JSON"),
    "truncated gzip": (gzip.compress(GOOD.encode())[:-20], "", "cannot be read"),
    "empty": ("", "", "is empty"),
    "not JSON": ("<html>", "line 1, column 1", "is not JSON"),
    "a text": ('"x"', "", "must be an object"),
    "another answer": ('{"Users": []}', "", "has none of UserDetailList"),
    "not UTF-8": (b'{"a": "\xff"}', "byte 7", "is not UTF-8"),
    "a list that is an object": ('{"UserDetailList": {}, "Policies": []}', "", "has no ARN"),
    "deep": ("[" * 100_000, "", "nested too deeply"),
    "NaN": ('{"Policies": NaN}', "", "NaN is not JSON"),
    "huge number": ('{"Policies": ' + "1" * 5000 + "}", "", "a number has too many digits"),
    "two lists of users": (
        '{"UserDetailList": [], "Policies": [], "UserDetailList": []}',
        "",
        "'UserDetailList' is in one object twice",
    ),
    "two effects": (
        GOOD.replace('"Effect": "Deny"', '"Effect": "Deny", "Effect": "Allow"'),
        "",
        "'Effect' is in one object twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_reports_bad_file_and_reads_others(case, tmp_path):
    content, place, message = BAD[case]
    found = read(tmp_path, {"1.json": content, "2.json": GOOD})
    problem, account = found
    assert isinstance(problem, Problem)
    assert isinstance(account, Account)
    assert problem.file == str(tmp_path / "1.json")
    assert place in problem.place
    assert message in problem.message


def test_reads_directory_with_pipe_device_and_loops(tmp_path):
    os.mkfifo(tmp_path / "0.json")
    (tmp_path / "1.json").symlink_to("/dev/zero")
    (tmp_path / "2.json").symlink_to("2.json")
    (tmp_path / "3.json").mkdir()
    (tmp_path / "3.json" / "up.json").symlink_to(tmp_path)
    found = list(read_accounts([written(tmp_path, {"4.json": GOOD})], lambda _: True))
    account = found.pop()
    assert isinstance(account, Account)
    assert [(one.file[-6:], one.message) for one in found] == [
        ("0.json", "is not a regular file"),
        ("1.json", "is not a regular file"),
        ("2.json", "cannot be read: Too many levels of symbolic links"),
    ]


def test_pipe_that_is_named_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(GOOD,))
    writer.start()
    (account,) = read_accounts([str(tmp_path / "pipe")], lambda _: True)
    writer.join()
    assert len(account.principals) == 3


def test_preserves_percent_sign_in_unencoded_document(tmp_path):
    text = json.dumps(document(statement(resource="arn:aws:ssm:*:*:document/%2A")))
    user = principal("user", "a")
    user["UserPolicyList"] = [
        {"PolicyName": "text", "PolicyDocument": text},
        {"PolicyName": "encoded", "PolicyDocument": quote(text)},
    ]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer([user]))})
    for held in account.principals[0].policies:
        (one,) = held.policy.statements
        assert one.resources == ("arn:aws:ssm:*:*:document/%2A",)


def test_reports_duplicate_principal_and_policy(tmp_path):
    pages = [answer(USERS[:1], policies=[SHELL], IsTruncated=True), answer(USERS, policies=[SHELL])]
    (account,) = read(tmp_path, {"a.json": json.dumps(pages)})
    assert [p.arn[-3:] for p in account.principals] == ["ann", "bob"]
    assert [(p.place, p.message.partition(" ")[2]) for p in account.problems] == [
        ("[1].Policies[0]", "is in the input twice"),
        ("[1].UserDetailList[0]", "is in the input twice"),
    ]


UNREADABLE = {
    "boundary that is a text": ({"PermissionsBoundary": LIMIT["Arn"]}, True),
    "boundary without an ARN": ({"PermissionsBoundary": {"PermissionsBoundaryType": "x"}}, True),
    "no boundary": ({"PermissionsBoundary": None}, False),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_boundary_that_cannot_be_read_is_missing(case, tmp_path):
    more, missing = UNREADABLE[case]
    users = [principal("user", "a", statement(), **more)]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer(users, policies=[LIMIT]))})
    (one,) = account.principals
    assert (one.boundary_missing, bool(one.missing)) == (missing, missing)


def test_reports_unreadable_tags(tmp_path):
    users = [principal("user", "a", statement(), Tags={"team": "a"})]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer(users))})
    (problem,) = account.problems
    assert (problem.place, account.principals) == ("UserDetailList[0].Tags", ())


BROKEN = {
    "policy": ("UserDetailList[0].UserPolicyList[0].PolicyDocument", "unknown element 'Effekt'"),
    "user without a name": ("UserDetailList[1].UserName", "must be a string"),
}


def test_bad_policy_makes_only_its_principals_incomplete(tmp_path):
    users = [
        principal("user", "a", {"Effekt": "Allow", "Action": "*", "Resource": "*"}),
        {"Arn": f"arn:aws:iam::{ACCOUNT}:user/x"},
        principal("user", "b", statement()),
        7,
    ]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer(users))})
    found = {problem.place: problem.message for problem in account.problems}
    assert found.pop("UserDetailList[3]") == "must be an object"
    assert found.keys() == {place for place, _ in BROKEN.values()}
    for place, message in BROKEN.values():
        assert message in found[place]
    assert [(p.arn[-1], p.missing) for p in account.principals] == [("a", ("a/own",)), ("b", ())]


def test_unreadable_managed_policy_is_missing_for_its_principals(tmp_path):
    broken = managed("broken", {"Effect": "Maybe", "Action": "*", "Resource": "*"})
    users = [principal("user", "a", attached=[broken["Arn"]])]
    (account,) = read(tmp_path, {"a.json": json.dumps(answer(users, policies=[broken]))})
    assert account.principals[0].missing == (broken["Arn"],)
    assert "'Maybe'" in account.problems[0].message


def test_reports_duplicate_account(tmp_path):
    first, second = read(tmp_path, {"1.json": GOOD, "2.json": GOOD})
    assert isinstance(first, Account)
    assert second.message == f"account {ACCOUNT} was already read from {tmp_path / '1.json'}"


def test_reports_missing_last_page(tmp_path):
    (account,) = read(tmp_path, {"a.json": json.dumps(PAGES[:2])})
    assert account.problems[0].message == "is truncated, and no further page follows"
    assert len(account.principals) == 2


def test_reports_rest_that_max_items_omitted(tmp_path):
    page = answer(USERS, GROUPS, NextToken="eyJ")
    (account,) = read(tmp_path, {"a.json": json.dumps(page)})
    assert account.problems[0].message == "is truncated, and no further page follows"


def test_reports_missing_path_and_empty_directory(tmp_path):
    none, empty = read_accounts([str(tmp_path / "none"), str(tmp_path)], lambda _: True)
    assert "No such file" in none.message
    assert "has no file named" in empty.message


def test_reads_accounts_one_at_a_time(tmp_path):
    other = json.dumps(answer([principal("user", "a", statement(), account="444455556666")]))
    found = read_accounts([written(tmp_path, {"1.json": GOOD, "2.json": other})], lambda _: True)
    assert next(found).account == ACCOUNT
    (tmp_path / "2.json").unlink()
    assert isinstance(next(found), Problem)
