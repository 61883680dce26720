"""The questions that an audit asks about each principal of an account."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ssmgate.explain.file_questions import builder
from ssmgate.explain.known_context import knowledge_of
from ssmgate.explain.session_documents import WELL_KNOWN
from ssmgate.explain.target_questions import CHECK_KEY as CHECK
from ssmgate.gate.decision.arn import AWS_OWNED_PREFIXES, account_of, document_arns
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.question import (
    ACTION,
    RESOURCE_TAG_PREFIXES,
    Caller,
    ContextEntry,
    Question,
    is_principal_tag,
    is_resource_tag,
)
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.decision.target import target_arn
from ssmgate.gate.decision.wildcards import Wildcard
from ssmgate.policy_language import Context, Policy, Request
from ssmgate.policy_language.knowledge import Knowledge, Shape
from ssmgate.policy_language.matchers import units
from ssmgate.policy_language.patterns import action_matches
from ssmgate.policy_tools.gaad import Account, Principal
from ssmgate.policy_tools.problem import InputError

ANY_DOCUMENT = "*"
"""The name that stands for every other document: one that no policy names."""

ANY_NODE = {
    "i-*": ("ec2", "instance/i-0no0such0instance0"),
    "mi-*": ("ssm", "managed-instance/mi-0no0such0instance0"),
    "ecs:*": ("ecs", "task/no-such-cluster/no0such0task"),
}
"""The names that stand for every other node of a kind, one that no policy names, with its ARN."""

MOST_NAMED = 1000
"""How many documents, and how many nodes, that only policies name are asked about."""

# No two parts match the same characters: a hostile text takes no longer than another.
_VARIABLE = re.compile(r"\$\{([A-Za-z][^}$,']*)(?:,\s*'([^']*)')?\}")
_CONTROL_DOCUMENT = f"no-such-document.{'-' * 128}"
_CONTROL_NODE = "i-0no0such0instance0"
_OF_AWS = "AWS-StartSSHSession"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked about: in one region, these documents and nodes.

    None is what the policies name, with the default document and AWS's own. `tags` are those of
    every node asked about, None if they are not known. `also` are further documents.
    """

    region: str
    documents: tuple[str, ...] | None = None
    nodes: tuple[str, ...] | None = None
    tags: Mapping[str, str] | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A document or a node: its name, which may be a pattern of a policy, and an ARN for it.

    With policy variables, the ARN is another one for each principal (`arn_for`).
    """

    name: str
    arn: str

    @property
    def own(self) -> bool:
        """Return whether the ARN has policy variables."""
        return "${" in self.arn

    def arn_for(self, context: Context) -> str:
        """Return the ARN for a principal: a default, or `0`, for a value that is not known."""

        def value(found: re.Match[str]) -> str:
            values = context.get(found[1].strip())
            return (found[2] or "0") if values is None else values.values[0]

        return _VARIABLE.sub(value, self.arn)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, compiled as far as it does not depend on policies."""

    request: Request
    text: str
    knowledge: Knowledge


@dataclass(frozen=True, slots=True)
class Questions:
    """The documents and nodes of one account: a bit of a mask for each question.

    First come the documents; then each node three times: with ssm:SessionDocumentAccessCheck
    true, absent and false. `cut` is whether the policies name more than are asked about, and `own`
    whether one of them is another one for each principal.
    """

    partition: str
    account: str
    scope: Scope
    documents: tuple[Item, ...]
    nodes: tuple[Item, ...]
    cut: bool = False
    own: bool = False
    _knowledge: dict[tuple[object, ...], Knowledge] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many questions there are."""
        return len(self.documents) + 3 * len(self.nodes)

    def of(self, principal: Principal) -> tuple[Asked, ...]:
        """Return the questions about `principal`, in the order of the bits."""
        caller = self._caller(principal)
        build = builder(caller, self.scope.region)
        documents = [
            self._asked(principal, caller, build.documents(like)[0], items, True)
            for like, items in (
                (DEFAULT_DOCUMENT_NAME, [one for one in self.documents if account_of(one.arn)]),
                (_OF_AWS, [one for one in self.documents if not account_of(one.arn)]),
            )
        ]
        found = {item.arn: asked for group in documents for item, asked in group}
        nodes = [
            asked
            for check in (True, None, False)
            if (question := build.target(_CONTROL_NODE, document_access_check=check))
            for _, asked in self._asked(principal, caller, question, self.nodes, check, node=True)
        ]
        return (*(found[one.arn] for one in self.documents), *nodes)

    def about_document(self, principal: Principal, at: int) -> Question:
        """Return the question for IAM whether `principal` may use the document of number `at`."""
        like = DEFAULT_DOCUMENT_NAME if account_of(self.documents[at].arn) else _OF_AWS
        build = builder(self._caller(principal), self.scope.region)
        arn = self._asked_arn(principal, at)
        question = replace(build.documents(like)[0], resource_arn=arn)
        return _known_only(question).with_context(_tag_entries(principal, {}))

    def about_node(self, principal: Principal, at: int) -> Question | None:
        """Return the question about the node of number `at`, without a document check."""
        build = builder(self._caller(principal), self.scope.region)
        question = build.target(_CONTROL_NODE, document_access_check=False)
        if question is None:
            return None
        arn = self._asked_arn(principal, len(self.documents) + at)
        question = _known_only(replace(question, resource_arn=arn))
        return question.with_context(_tag_entries(principal, self.scope.tags or {}))

    def _asked_arn(self, principal: Principal, at: int) -> str:
        return self.of(principal)[at].request.resource

    def _caller(self, principal: Principal) -> Caller:
        user = principal.kind == "user"
        return Caller(
            self.account,
            principal.arn,
            principal.arn,
            principal.unique_id if user else "",
            "User" if user else "AssumedRole",
            self.partition,
        )

    def _asked(
        self,
        principal: Principal,
        caller: Caller,
        question: Question,
        items: Iterable[Item],
        check: bool | None,
        *,
        node: bool = False,
    ) -> list[tuple[Item, Asked]]:
        """Return the questions about `items`, which differ from `question` in the ARN only."""
        context: dict[str, str] = {
            entry.key_name: entry.values[0] for entry in question.context if entry.values[0]
        }
        context["aws:PrincipalAccount"] = self.account
        if principal.kind == "user":
            context["aws:username"] = principal.arn.rpartition("/")[2]
        if not principal.session_tags:
            context |= {f"aws:PrincipalTag/{key}": value for key, value in principal.tags.items()}
        tags = self.scope.tags if node else None
        for prefix in RESOURCE_TAG_PREFIXES:
            context |= {f"{prefix}{key}": value for key, value in (tags or {}).items()}
        kind = (
            *(account_of(question.resource_arn) == "", node, check),
            *(principal.kind, principal.session_tags),
        )
        knowledge = self._known(kind, question, caller, principal, tags)
        shared = _context(context)
        found = []
        for item in items:
            arn = item.arn_for(shared) if item.own else item.arn
            found.append((item, Asked(Request(ACTION, arn, shared), units(arn), knowledge)))
        return found

    def _known(
        self,
        kind: tuple[object, ...],
        question: Question,
        caller: Caller,
        principal: Principal,
        tags: Mapping[str, str] | None,
    ) -> Knowledge:
        """Return what is known of other keys: the same for all principals of a kind but the ID."""
        shapes: dict[str, Shape] = {}
        if principal.kind == "role" and principal.unique_id:
            shapes["aws:userid"] = (*principal.unique_id, ":", Wildcard.ANY)
        if (base := self._knowledge.get(kind)) is None:
            of_question = knowledge_of(_known_only(question), caller).is_absent
            checked = question.gives(CHECK)
            answers: dict[str, bool] = {}

            def absent(name: str) -> bool:
                if name not in answers:
                    answers[name] = (
                        of_question(name)
                        or (is_principal_tag(name) and not principal.session_tags)
                        or (tags is not None and is_resource_tag(name))
                        or (not checked and name.lower() == CHECK.lower())
                    )
                return answers[name]

            base = self._knowledge[kind] = Knowledge(absent)
        if not shapes:
            return base
        # The identifier is of one principal only: not worth to be found again.
        return Knowledge(base.is_absent, shapes)


def _known_only(question: Question) -> Question:
    """Return `question` without identifiers that are not known: these are not empty ones."""
    return replace(question, context=tuple(e for e in question.context if e.values[0]))


def _tag_entries(principal: Principal, of_node: Mapping[str, str]) -> list[ContextEntry]:
    """Return what IAM's simulation does not add by itself: the tags, as far as they are known."""
    tags = {} if principal.session_tags else principal.tags
    found = {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}
    for prefix in RESOURCE_TAG_PREFIXES:
        found |= {f"{prefix}{key}": value for key, value in of_node.items()}
    return [ContextEntry(name, "string", (value,)) for name, value in found.items()]


def _context(entries: dict[str, str]) -> Context:
    """Return the context; of tags whose keys differ in case only, the last one is used."""
    by_name: dict[str, tuple[str, str]] = {}
    for key, value in entries.items():
        by_name[key.lower()] = (key, value)
    return Context(dict(by_name.values()))


def questions(account: Account, scope: Scope) -> Questions:
    """Return the questions about the principals of `account`.

    Raises InputError for a document or node in `scope` whose name is not valid.
    """
    named = _named(account, scope.region)
    documents, cut = _documents(account, scope, named)
    nodes: dict[str, Item] = {}
    if scope.nodes is not None:
        for name in scope.nodes:
            arn = target_arn(
                name, partition=account.partition, region=scope.region, account=account.account
            )
            if arn is None:
                raise InputError(f"{name!r} is not the ID of a node or an ECS target")
            nodes[name] = Item(name, arn)
    else:
        for name, (service, resource) in ANY_NODE.items():
            arn = f"arn:{account.partition}:{service}:{scope.region}:{account.account}:{resource}"
            nodes[name] = Item(name, arn)
        found = [one for one in named if not _is_document(one.arn)]
        cut = cut or len(found) > MOST_NAMED
        nodes |= {one.name: one for one in found[:MOST_NAMED]}
    return Questions(
        account.partition,
        account.account,
        scope,
        tuple(documents.values()),
        tuple(nodes.values()),
        cut,
        any(one.own for one in (*documents.values(), *nodes.values())),
    )


def _documents(
    account: Account, scope: Scope, named: Sequence[Item]
) -> tuple[dict[str, Item], bool]:
    where = {
        "partition": account.partition, "region": scope.region, "account": account.account,
    }  # fmt: skip
    documents: dict[str, Item] = {}
    cut = False
    listed = (DEFAULT_DOCUMENT_NAME, *WELL_KNOWN) if scope.documents is None else scope.documents
    for name in (*listed, *scope.also):
        documents[name] = Item(name, document_arn(name, **where))
    if scope.documents is None:
        known = {one.arn for one in documents.values()}
        found = [one for one in named if _is_document(one.arn) and one.arn not in known]
        cut = len(found) > MOST_NAMED
        documents |= {one.name: one for one in found[:MOST_NAMED]}
    place = f"arn:{account.partition}:ssm:{scope.region}:{account.account}:document"
    documents[ANY_DOCUMENT] = Item(ANY_DOCUMENT, f"{place}/{_CONTROL_DOCUMENT}")
    return documents, cut


def document_arn(name: str, *, partition: str, region: str, account: str) -> str:
    """Return the ARN of the document `name`, a name or an ARN. Raises InputError."""
    try:
        first, *others = document_arns(name, partition=partition, region=region, account=account)
    except InvalidRequest:
        raise InputError(f"{name!r} is not the name of a session document") from None
    if others:
        raise InputError(f"{name!r} may be {first} or {others[0]}: give it as AWS spells it")
    return first


def _is_document(arn: str) -> bool:
    return ":document/" in arn


_NAMES = {
    ("ssm", "document/"): r"[A-Za-z0-9_.*?-]+",
    ("ec2", "instance/"): r"i-[0-9a-zA-Z*?]+",
    ("ssm", "managed-instance/"): r"mi-[0-9a-zA-Z*?]+",
    ("ecs", "task/"): r"[0-9a-zA-Z/_*?-]+",
}


def _named(account: Account, region: str) -> list[Item]:
    """Return the documents and nodes that statements of the account about sessions name.

    A pattern with wildcards stands for what it names: a `0` replaces each of them in the ARN.
    Those of other regions, partitions and accounts are left out. One with policy variables is
    another one for each principal.
    """
    found: dict[str, Item] = {}
    parsed = {id(held.policy): held.policy for held in account.policies}
    own = (account.partition, None, region, account.account)
    for text in _resources(parsed.values()):
        parts = text.split(":", 5)
        if len(parts) < 6 or "$" in "".join(parts[:5]):
            continue  # IAM replaces variables after the fifth colon only.
        for service, kind in _NAMES:
            name = parts[5].removeprefix(kind)
            if parts[2] != service or name == parts[5] or name == "*":
                continue
            if not re.fullmatch(_NAMES[service, kind], _VARIABLE.sub("0", name)):
                continue
            of_aws = kind == "document/" and name.startswith(AWS_OWNED_PREFIXES)
            if of_aws and parts[4] not in ("", "*"):
                continue  # AWS's documents have no account: this names none of them.
            owner = "" if of_aws or not parts[4] else account.account
            fits = all(
                wanted is None or _may_be(parts[at], owner if at == 4 else wanted)
                for at, wanted in enumerate(own, start=1)
            )
            if fits:
                sample = re.sub(r"[*?]", "0", name)
                arn = f"arn:{account.partition}:{service}:{region}:{owner}:{kind}{sample}"
                found.setdefault(arn, Item(name, arn))
    return [found[arn] for arn in sorted(found)]


def _may_be(pattern: str, text: str) -> bool:
    return pattern == text or bool(re.search(r"[*?]", pattern))


def _resources(policies: Iterable[Policy]) -> Iterator[str]:
    for policy in policies:
        for statement in policy.statements:
            if statement.negated_action or any(
                action_matches(text, ACTION) for text in statement.actions
            ):
                yield from statement.resources
