"""Run an audit: one account after the other, each reported before the next is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ssmgate.policy_language.patterns import action_matches
from ssmgate.policy_tools.audit import Auditor, Bound, Standing, Status
from ssmgate.policy_tools.document_content import Content
from ssmgate.policy_tools.gaad import About, Account, Principal, read_account, read_accounts
from ssmgate.policy_tools.inventory import Organization
from ssmgate.policy_tools.problem import Problem
from ssmgate.policy_tools.questions import MOST_NAMED, Scope, questions

ACTION = "ssm:StartSession"
SOURCE = "GetAccountAuthorizationDetails"
"""What names an account that was read from IAM."""


@dataclass(frozen=True, slots=True)
class Group:
    """Principals of one account with the same answers from the same policies, in their order."""

    principals: tuple[Principal, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The results of one account."""

    auditor: Auditor
    groups: tuple[Group, ...]

    @property
    def account(self) -> Account:
        """Return the account."""
        return self.auditor.account


@dataclass(slots=True)
class Summary:
    """How many principals there are of each kind, in all accounts so far."""

    accounts: int = 0
    principals: int = 0
    allowed_any: int = 0
    unbound: int = 0
    denied: int = 0
    none: int = 0
    unknown: int = 0

    def add(self, group: Group) -> None:
        """Count the principals of `group`."""
        count, standing = len(group.principals), group.standing
        self.principals += count
        self.allowed_any += count * standing.allowed_any
        self.unbound += count * (standing.bound is Bound.UNBOUND)
        self.denied += count * (standing.status is Status.DENIED)
        self.none += count * (standing.status is Status.NONE)
        self.unknown += count * (standing.status is Status.UNKNOWN)

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name, in their order."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Audit:
    """An audit of all accounts in `paths`, or of the one in `live`, an answer of IAM.

    `contents` are those of session documents, which each account is taken to have. With
    `whole_policies`, statements about other actions than StartSession are read as well.
    `summary` and `problems` are complete when `accounts` has ended. `confirmed` are the principals
    about whom IAM's simulation agrees.
    """

    paths: Iterable[str]
    scope: Scope
    organization: Organization
    contents: tuple[Content, ...] = ()
    whole_policies: bool = False
    live: Mapping[str, Any] | None = None
    confirmed: list[str] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)
    problems: list[Problem] = field(default_factory=list)

    def accounts(self) -> Iterator[AccountReport]:
        """Yield the results of each account, in the order of the files.

        Raises InputError for a document or node in the scope whose name is not valid.
        """
        about: About = (lambda _: True) if self.whole_policies else _Relevant()
        if self.live is None:
            accounts = read_accounts(self.paths, about)
        else:
            accounts = read_account(self.live, SOURCE, about)
        for found in accounts:
            if isinstance(found, Problem):
                self.problems.append(found)
                continue
            self.problems += found.problems
            report = self._report(found)
            self.summary.accounts += 1
            for group in report.groups:
                self.summary.add(group)
            yield report

    def _report(self, account: Account) -> AccountReport:
        asked = questions(account, self.scope)
        if asked.cut:
            text = f"account {account.account} names more than {MOST_NAMED} documents or nodes"
            self.problems.append(Problem("", "", f"{text}: give --documents and --nodes"))
        auditor = Auditor(account, asked, self.organization.of(account.account))
        by_standing: dict[int, tuple[Standing, list[Principal]]] = {}
        for principal in account.principals:
            standing = auditor.standing(principal)
            by_standing.setdefault(id(standing), (standing, []))[1].append(principal)
        groups = (Group(tuple(found), standing) for standing, found in by_standing.values())
        return AccountReport(auditor, tuple(groups))


class _Relevant:
    """Whether a statement can be about StartSession: the others are not parsed."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def __call__(self, statement: Mapping[str, object]) -> bool:
        actions = statement.get("Action")
        if isinstance(actions, str):
            return self._matches(actions)
        if not isinstance(actions, list):
            return True  # NotAction, or an error to be reported.
        return any(not isinstance(one, str) or self._matches(one) for one in actions)

    def _matches(self, text: str) -> bool:
        if (found := self._known.get(text)) is None:
            service, colon, _ = text.partition(":")
            # What is not an action is an error to be reported.
            found = not colon or (service.lower() == "ssm" and action_matches(text, ACTION))
            self._known[text] = found
        return found
