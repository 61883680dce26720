"""Read the documents, nodes and service control policies that an audit is about."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ssmgate.policy_language import Policy, PolicyError, PolicyKind, parse_policy
from ssmgate.policy_tools import json_files
from ssmgate.policy_tools.problem import InputError, in_file

_LARGEST = 131_072


def documents(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the session documents in answers of `aws ssm list-documents`.

    A document without a type in the answer is taken for one. Raises InputError.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListDocuments.html
    """
    found: dict[str, None] = {}
    for item in _items(paths, "DocumentIdentifiers", "Name"):
        if item.get("DocumentType", "Session") == "Session":
            found[item["Name"]] = None
    return tuple(found)


def nodes(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the IDs in answers of `aws ssm describe-instance-information`. Raises InputError.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
    """
    return tuple(
        dict.fromkeys(
            item["InstanceId"] for item in _items(paths, "InstanceInformationList", "InstanceId")
        )
    )


def _items(paths: Iterable[str], member: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in paths:
        with in_file(path):
            for number, page in enumerate(json_files.documents(path)):
                items = page.get(member) if isinstance(page, dict) else None
                if not isinstance(items, list):
                    raise InputError(f"has no list {member}", f"document {number + 1}")
                for at, item in enumerate(items):
                    if not isinstance(item, dict) or not isinstance(item.get(name), str):
                        raise InputError(f"must have a {name}", f"{member}[{at}]")
                    found.append(item)
    return found


@dataclass(frozen=True, slots=True)
class Level:
    """A level of an organization: its service control policies, and the accounts below it.

    `accounts` is None for all accounts.
    """

    policies: tuple[Policy, ...]
    accounts: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Organization:
    """The levels from the root down. No policy restricts the management account."""

    levels: tuple[Level, ...] = ()
    management_account: str = ""

    def of(self, account: str) -> tuple[tuple[Policy, ...], ...]:
        """Return the service control policies of each level above `account`, the root first."""
        if account == self.management_account:
            return ()
        return tuple(
            level.policies
            for level in self.levels
            if level.accounts is None or account in level.accounts
        )


def organization(path: str) -> Organization:
    """Read a TOML file with `[[level]]` tables: `policies`, files beside it, and `accounts`.

    Raises InputError for a file that cannot be read, and for an unknown or missing member.
    """
    table = read_toml(path)
    with in_file(path):
        only(table, {"level", "management_account"}, "")
        levels = []
        for place, level in tables(table, "level", {"policies", "accounts"}):
            files = texts(level.get("policies"), f"{place}.policies")
            accounts = level.get("accounts")
            levels.append(
                Level(
                    tuple(_policy(os.path.join(os.path.dirname(path), file)) for file in files),
                    None if accounts is None else frozenset(texts(accounts, f"{place}.accounts")),
                )
            )
        return Organization(tuple(levels), str(table.get("management_account", "")))


def _policy(path: str) -> Policy:
    try:
        text = json_files.read_bytes(path, _LARGEST).decode("utf-8-sig")
        return parse_policy(text, os.path.basename(path), PolicyKind.SERVICE_CONTROL)
    except (InputError, PolicyError, UnicodeDecodeError) as error:
        raise InputError(f"policy {path}: {error}") from None


def read_toml(path: str) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises InputError with its name and the line."""
    with in_file(path):
        try:
            return tomllib.loads(json_files.read_bytes(path, 1_000_000).decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"is not TOML: {error}") from None


def tables(
    table: dict[str, Any], name: str, known: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the `[[name]]` tables, with keys of `known` only, and their places.

    Raises InputError for another type, an unknown key, and if there is none.
    """
    found = table.get(name)
    if not isinstance(found, list) or not found:
        raise InputError(f"has no [[{name}]]")
    for number, one in enumerate(found):
        place = f"{name}[{number}]"
        only(one, known, place)
        yield place, one


def only(table: Any, known: set[str], place: str) -> None:
    """Raise InputError unless `table` is a table with keys of `known` only."""
    if not isinstance(table, dict):
        raise InputError("must be a table", place)
    for name in table:
        if name not in known:
            raise InputError(f"unknown key {name!r}; known: {', '.join(sorted(known))}", place)


def texts(value: Any, place: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple. Raises InputError."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError("must be a list of strings", place)
    return tuple(value)
