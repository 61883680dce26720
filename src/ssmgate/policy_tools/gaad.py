"""Read iam:GetAccountAuthorizationDetails: users, roles, and the policies that apply to them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ssmgate.policy_language import Policy, PolicyError
from ssmgate.policy_language.document import policy_of
from ssmgate.policy_language.patterns import action_matches
from ssmgate.policy_tools import json_files
from ssmgate.policy_tools.members import objects, text, texts
from ssmgate.policy_tools.problem import InputError, Problem

LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")

GROUP = "group "
"""What the name of a missing group begins with."""

About = Callable[[Mapping[str, object]], bool]
"""Whether a statement, as its JSON object, can be about anything that is asked."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldPolicy:
    """A policy as principals hold it; compared by identity.

    `arn` is that of a managed policy; the others are inline. `name` is the policy's, with its
    holder's name before it if it is inline. `numbers` are the numbers of the parsed statements
    in the document, from 0: those about something else are left out.
    """

    name: str
    arn: str | None
    policy: Policy
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """An IAM user or role.

    `missing` names policies and groups of its that the input does not have or that cannot be
    read: whatever they might decide is unknown. `boundary_missing` is whether one of them is the
    boundary, which is None then. `session_tags` is whether a session may have tags that are not
    `tags`: a role has such sessions if its trust policy allows sts:TagSession to anyone.
    """

    arn: str
    kind: str
    unique_id: str
    policies: tuple[HeldPolicy, ...]
    boundary: HeldPolicy | None = None
    missing: tuple[str, ...] = ()
    boundary_missing: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    session_tags: bool = False

    @property
    def service_linked(self) -> bool:
        """Return whether it is a role of an AWS service, which only that service assumes."""
        return self.kind == "role" and ":role/aws-service-role/" in self.arn


@dataclass(frozen=True, slots=True)
class Account:
    """One account: its principals in the order of the input, and what could not be read of it.

    `file` is the first file with a part of it.
    """

    account: str
    partition: str
    principals: tuple[Principal, ...]
    policies: tuple[HeldPolicy, ...]
    problems: tuple[Problem, ...]
    file: str = ""


@dataclass(slots=True)
class _Pages:
    """Pages of one account, with the file and the place of each item."""

    lists: dict[str, list[tuple[str, str, Any]]] = field(
        default_factory=lambda: {name: [] for name in LISTS}
    )
    problems: list[Problem] = field(default_factory=list)
    first: str = ""
    last: str = ""
    truncated: bool = False

    @classmethod
    def of(cls, file: str, page: Mapping[str, Any], place: str) -> _Pages:
        """Return one page; raises InputError if it is not one."""
        if not any(name in page for name in LISTS):
            raise InputError(f"has none of {', '.join(LISTS)}", place.rstrip("."))
        # The AWS CLI's --max-items leaves NextToken in place of the API's members.
        truncated = bool(page.get("IsTruncated") or page.get("NextToken"))
        one = cls(first=file, last=file, truncated=truncated)
        for name in LISTS:
            items = page.get(name) or []
            if not isinstance(items, list):
                raise InputError("must be a list", f"{place}{name}")
            for number, item in enumerate(items):
                where = f"{place}{name}[{number}]"
                if isinstance(item, dict):
                    one.lists[name].append((file, where, item))
                else:
                    one.problems.append(Problem(file, where, "must be an object"))
        return one

    def then(self, page: _Pages) -> None:
        """Add the next page."""
        for name in LISTS:
            self.lists[name] += page.lists[name]
        self.problems += page.problems
        self.first = self.first or page.first
        self.last, self.truncated = page.last, page.truncated

    def account(self) -> str:
        """Return the account's ID from the ARNs, empty if there is none."""
        for name in LISTS:
            for _, _, item in self.lists[name]:
                parts = str(item.get("Arn", "")).split(":")
                if len(parts) > 4 and parts[4].isdigit():
                    return parts[4]
        return ""


def read_accounts(paths: Iterable[str], about: About) -> Iterator[Account | Problem]:
    """Yield the accounts in `paths`, files or directories, one at a time, and what is not one.

    A file has one page or all of an account, or several pages, in a list or one after the other;
    compressed with gzip or not. A truncated page goes on with the next page of that account, in
    the same file or in one of the next. Policy documents are objects, or JSON text, URL-encoded
    or not. An account that comes a second time is a problem.
    """
    yield from _accounts(_pages(paths), about)


def read_account(page: Mapping[str, Any], source: str, about: About) -> Iterator[Account | Problem]:
    """Yield the account in `page`, an answer of the operation, or why there is none.

    `source` takes the place of a file's name.
    """
    yield from _accounts([(source, ("", page))], about)


def _accounts(
    found: Iterable[tuple[str, tuple[str, Mapping[str, Any]] | Problem]], about: About
) -> Iterator[Account | Problem]:
    seen: dict[str, str] = {}
    pending: dict[str, _Pages] = {}

    def finished(name: str, pages: _Pages) -> Iterator[Account | Problem]:
        if name in seen:
            yield Problem(pages.last, "", f"account {name} was already read from {seen[name]}")
            return
        seen[name] = pages.last
        yield _Builder(pages, about).account(name)

    for file, page in found:
        if isinstance(page, Problem):
            yield page
            continue
        try:
            one = _Pages.of(file, page[1], page[0])
        except InputError as error:
            yield error.problem(file)
            continue
        name = one.account()
        if not name and not pending:
            yield Problem(file, page[0].rstrip("."), "has no ARN of an account")
            continue
        # A page without an ARN belongs to the account before it.
        name = name or next(reversed(pending))
        pages = pending.pop(name, None) or _Pages()
        pages.then(one)
        if pages.truncated:
            pending[name] = pages
        else:
            yield from finished(name, pages)
    for name, pages in pending.items():
        pages.problems.append(Problem(pages.last, "", "is truncated, and no further page follows"))
        yield from finished(name, pages)


def _pages(
    paths: Iterable[str],
) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]] | Problem]]:
    for path in paths:
        for file in json_files.find(path):
            if isinstance(file, Problem):
                yield file.file, file
                continue
            try:
                for document in json_files.documents(file):
                    yield from _of_document(file, document)
            except InputError as error:
                yield file, error.problem(file)


def _of_document(
    file: str, document: Any
) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]] | Problem]]:
    pages = document if isinstance(document, list) else [document]
    for number, page in enumerate(pages):
        place = f"[{number}]." if isinstance(document, list) else ""
        if isinstance(page, dict):
            yield file, (place, page)
        else:
            yield file, Problem(file, place.rstrip("."), "must be an object")


class _Builder:
    """Puts the principals of one account together."""

    def __init__(self, pages: _Pages, about: About) -> None:
        self._pages = pages
        self._about = about
        self._problems = pages.problems
        self._by_text: dict[str, tuple[Policy, tuple[int, ...]]] = {}
        self._managed: dict[str, HeldPolicy] = {}
        self._inline: list[HeldPolicy] = []
        self._groups: dict[str, tuple[tuple[HeldPolicy, ...], tuple[str, ...]]] = {}

    def account(self, name: str) -> Account:
        """Return the account, with a problem for each part that could not be read."""
        partition = "aws"
        for file, place, item in self._pages.lists["Policies"]:
            self._guard(file, place, item, self._add_managed)
        for file, place, item in self._pages.lists["GroupDetailList"]:
            self._guard(file, place, item, self._add_group)
        found: dict[str, Principal] = {}
        for kind, members in (("user", "UserDetailList"), ("role", "RoleDetailList")):
            for file, place, item in self._pages.lists[members]:
                one = self._guard(file, place, item, functools.partial(self._principal, kind))
                if one is None:
                    continue
                if one.arn in found:
                    self._problems.append(Problem(file, place, f"{one.arn} is in the input twice"))
                found.setdefault(one.arn, one)
                partition = one.arn.split(":")[1] or partition
        held = (*self._managed.values(), *self._inline)
        problems = tuple(self._problems)
        return Account(name, partition, tuple(found.values()), held, problems, self._pages.first)

    def _guard(self, file: str, place: str, item: Any, use: Callable[[Any, str, str], Any]) -> Any:
        try:
            return use(item, file, place)
        except InputError as error:
            self._problems.append(Problem(file, error.place or place, str(error)))
            return None

    def _add_managed(self, item: Mapping[str, Any], file: str, place: str) -> None:
        arn = text(item, "Arn", place)
        if arn in self._managed:
            raise InputError(f"{arn} is in the input twice", place)
        default = item.get("DefaultVersionId")
        for version in objects(item, "PolicyVersionList", place):
            if version.get("IsDefaultVersion") or (
                default is not None and version.get("VersionId") == default
            ):
                document = self._policy(version.get("Document"), arn, f"{place}.PolicyVersionList")
                name = str(item.get("PolicyName") or arn.rpartition("/")[2])
                self._managed[arn] = HeldPolicy(name, arn, *document)
                return
        raise InputError("has no default version", place)

    def _add_group(self, item: Mapping[str, Any], file: str, place: str) -> None:
        name = text(item, "GroupName", place)
        self._groups[name] = self._held(item, "Group", name, file, place)

    def _principal(self, kind: str, item: Mapping[str, Any], file: str, place: str) -> Principal:
        title = kind.capitalize()
        name, arn = text(item, f"{title}Name", place), text(item, "Arn", place)
        if len(arn.split(":")) != 6:
            raise InputError(f"{arn!r} is not an ARN", f"{place}.Arn")
        policies, missing = self._held(item, title, name, file, place)
        for group in texts(item, "GroupList", place):
            if group in self._groups:
                policies += self._groups[group][0]
                missing += self._groups[group][1]
            else:
                missing += (GROUP + group,)
        attached = item.get("PermissionsBoundary")
        boundary, boundary_missing = None, False
        if attached:
            named = attached.get("PermissionsBoundaryArn") if isinstance(attached, dict) else None
            boundary = self._managed.get(str(named))
            if boundary is None:
                boundary_missing = True
                missing += (str(named or "permissions boundary"),)
        listed = objects(item, "Tags", place)
        tags = {str(tag.get("Key")): str(tag.get("Value", "")) for tag in listed}
        return Principal(
            arn,
            kind,
            str(item.get(f"{title}Id", "")),
            tuple(dict.fromkeys(policies)),
            boundary,
            tuple(dict.fromkeys(missing)),
            boundary_missing,
            tags,
            kind == "role" and _may_tag_session(item.get("AssumeRolePolicyDocument")),
        )

    def _held(
        self, item: Mapping[str, Any], title: str, holder: str, file: str, place: str
    ) -> tuple[tuple[HeldPolicy, ...], tuple[str, ...]]:
        """Return the policies of a user, group or role, and the names of those that are missing."""
        found: list[HeldPolicy] = []
        missing: list[str] = []
        member = f"{title}PolicyList"
        for number, inline in enumerate(objects(item, member, place)):
            name = f"{holder}/{inline.get('PolicyName', number)}"
            where = f"{place}.{member}[{number}].PolicyDocument"
            try:
                document = self._policy(inline.get("PolicyDocument"), name, where)
            except InputError as error:
                self._problems.append(Problem(file, error.place or where, str(error)))
                missing.append(name)
                continue
            found.append(HeldPolicy(name, None, *document))
            self._inline.append(found[-1])
        for attached in objects(item, "AttachedManagedPolicies", place):
            arn = str(attached.get("PolicyArn", ""))
            if arn in self._managed:
                found.append(self._managed[arn])
            else:
                missing.append(arn)
        return tuple(found), tuple(missing)

    def _policy(self, document: Any, name: str, place: str) -> tuple[Policy, tuple[int, ...]]:
        """Return the parsed document; equal documents are parsed once."""
        if isinstance(document, str):
            try:
                document = _decoded(document)
            except InputError as error:
                where = f"{place}, {error.place}" if error.place else place
                raise InputError(str(error), where) from None
        try:
            text = json.dumps(document)
            if text not in self._by_text:
                self._by_text[text] = policy_of(document, name, about=self._about)
        except PolicyError as error:
            raise InputError(str(error), place) from None
        except RecursionError:
            raise InputError("is nested too deeply", place) from None
        return self._by_text[text]


def _decoded(text: str) -> Any:
    """Return a policy document that is JSON text, or URL-encoded. Raises InputError."""
    try:
        return json_files.decode(text)  # A percent sign in JSON text is itself.
    except InputError:
        return json_files.decode(unquote(text))


def _may_tag_session(trust: Any) -> bool:
    """Return whether the trust policy may let a session have tags; what is not read may.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    if isinstance(trust, str):
        try:
            trust = _decoded(trust)
        except InputError:
            return True
    statements = trust.get("Statement") if isinstance(trust, dict) else None
    for one in statements if isinstance(statements, list) else [statements]:
        if not isinstance(one, dict) or "Action" not in one:
            return True
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        if one.get("Effect") != "Deny" and any(
            action_matches(str(text), "sts:TagSession") for text in actions
        ):
            return True
    return False
