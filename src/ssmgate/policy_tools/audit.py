"""Work out who may start a session with which document, for all principals of an account.

Each policy is evaluated once for all questions: the answers are bits of a mask, which are combined
for each principal. Nothing here permits a session.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.question import is_principal_tag
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.policy_language import Policies, Policy
from ssmgate.policy_language.compiled import (
    Answer,
    CompiledPolicies,
    CompiledPolicy,
    CompiledStatement,
    compile_policies,
)
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.gaad import Account, Principal
from ssmgate.policy_tools.questions import Asked, Questions
from ssmgate.policy_tools.words import condition_words

_ACTION = "ssm:startsession"
_OF_PRINCIPAL = {"aws:principalarn", "aws:username", "aws:userid"}


class Status(enum.Enum):
    """What a principal may do, in the summary. ALLOWED: start some session."""

    ALLOWED = "allowed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    NONE = "none"


class Bound(enum.Enum):
    """Whether the service has to check the document, by ssm:SessionDocumentAccessCheck.

    A principal is UNBOUND if some node is allowed although the key is false.
    """

    BOUND = "bound"
    UNBOUND = "unbound"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """Whether a session with a document may be started on some node.

    `explicit` is whether a Deny statement denies it. `condition` is what an unknown answer depends
    on, in words; empty if that is a missing policy.
    """

    name: str
    certainty: Certainty
    explicit: bool = False
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """The answers for one set of effective policies, which several principals may share.

    The last of `documents` is any other document. `unbound_node` is the number of the first node
    that is allowed with the key false.
    """

    documents: tuple[DocumentAnswer, ...]
    status: Status
    bound: Bound | None
    allowed_any: bool
    unbound_node: int | None


@dataclass(frozen=True, slots=True)
class Masks:
    """The answers of one policy, or of several together: a bit for each question."""

    may_allow: int = 0
    must_allow: int = 0
    may_deny: int = 0
    must_deny: int = 0

    def __or__(self, other: Masks) -> Masks:
        return Masks(
            self.may_allow | other.may_allow,
            self.must_allow | other.must_allow,
            self.may_deny | other.may_deny,
            self.must_deny | other.must_deny,
        )


_NOTHING = Masks()


@dataclass(slots=True)
class Auditor:
    """Answers the questions about the principals of one account.

    `service_control` are the levels of service control policies that apply to the account.
    """

    account: Account
    questions: Questions
    service_control: tuple[tuple[Policy, ...], ...] = ()
    _compiled: dict[int, CompiledPolicy] = field(default_factory=dict)
    _of_principal: dict[int, bool] = field(default_factory=dict)
    _masks: dict[tuple[int, str, bool], Masks] = field(default_factory=dict)
    _asked: dict[tuple[str, bool], tuple[Asked, ...]] = field(default_factory=dict)
    _searched: dict[tuple[str, bool, int], dict[tuple[object, ...], Answer]] = field(
        default_factory=dict
    )
    _standings: dict[tuple[object, ...], Standing] = field(default_factory=dict)

    def standing(self, principal: Principal) -> Standing:
        """Return the answers for `principal`: the same object for the same effective policies."""
        policies = self._effective(principal)
        own = any(map(self._depends_on_principal, policies))
        key = (
            frozenset(id(held.policy) for held in principal.policies),
            id(principal.boundary.policy) if principal.boundary else None,
            bool(principal.missing),
            principal.boundary_missing,
            principal.kind,
            principal.session_tags,
            principal.service_linked,
        )
        if not own:
            if key not in self._standings:
                self._standings[key] = _standing(self._found(principal, own=False))
            return self._standings[key]
        found = _standing(self._found(principal, own=True))
        return self._standings.setdefault((*key, found), found)

    def unbinding(self, principal: Principal, standing: Standing) -> tuple[str, ...]:
        """Return the statements that allow a node although no document was checked, by name."""
        if standing.unbound_node is None:
            return ()
        at = len(self.questions.documents) + 2 * len(self.questions.nodes) + standing.unbound_node
        return self._allowing(principal, at)

    def allowing(self, principal: Principal, name: str) -> tuple[str, ...]:
        """Return the statements that allow the document `name`, by name."""
        names = [item.name for item in self.questions.documents]
        return self._allowing(principal, names.index(name))

    def _allowing(self, principal: Principal, at: int) -> tuple[str, ...]:
        one = self.questions.of(principal)[at]
        answer = self._policies(principal).decide(one.request, one.knowledge)
        if answer.certainty is not Certainty.ALLOWED:
            return ()
        held = {id(h.policy): h for h in reversed(principal.policies)}
        return tuple(
            f"{held[id(s.policy)].name} statement {held[id(s.policy)].numbers[s.order] + 1}"
            for s in answer.applying
        )

    def _effective(self, principal: Principal) -> list[Policy]:
        found = [held.policy for held in principal.policies]
        if principal.boundary:
            found.append(principal.boundary.policy)
        levels = self._levels(principal)
        return [*found, *(policy for level in levels for policy in level)]

    def _levels(self, principal: Principal) -> tuple[tuple[Policy, ...], ...]:
        """Return the levels of service control policies that restrict `principal`.

        https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
        """
        return () if principal.service_linked else self.service_control

    def _depends_on_principal(self, policy: Policy) -> bool:
        if self.questions.own:
            return True
        if (found := self._of_principal.get(id(policy))) is None:
            found = self._of_principal[id(policy)] = any(
                key.lower() in _OF_PRINCIPAL or is_principal_tag(key)
                for key in policy.context_keys()
            )
        return found

    def _questions(self, principal: Principal, own: bool) -> tuple[Asked, ...]:
        if own:
            return self.questions.of(principal)
        key = (principal.kind, principal.session_tags)
        if key not in self._asked:
            self._asked[key] = self.questions.of(principal)
        return self._asked[key]

    def answers(self, principal: Principal) -> list[Certainty]:
        """Return the answer to each question about `principal`, in their order."""
        found = self._found(principal, own=True)
        return [found.one(at)[0] for at in range(len(found.asked))]

    def _found(self, principal: Principal, *, own: bool) -> _Answers:
        asked = self._questions(principal, own)
        every = (1 << len(asked)) - 1
        identity = _NOTHING
        for held in principal.policies:
            identity = identity | self._masks_of(held.policy, principal, asked)
        layers = [self._together(level, principal, asked) for level in self._levels(principal)]
        if principal.missing:
            identity = identity | Masks(may_allow=every, may_deny=every)
        layers.append(identity)
        if principal.boundary_missing:
            layers.append(Masks(may_allow=every, may_deny=every))
        elif principal.boundary:
            layers.append(self._masks_of(principal.boundary.policy, principal, asked))
        explicit = may_deny = 0
        may = must = every
        for layer in layers:
            explicit |= layer.must_deny
            may_deny |= layer.may_deny
            may &= layer.may_allow
            must &= layer.must_allow
        denied = explicit | (every & ~may)
        allowed = must & ~may_deny & ~denied
        found = _Answers(self.questions, asked, allowed, denied, explicit)
        if not principal.missing and (unknown := every & ~allowed & ~denied):
            self._settle(found, principal, unknown, own)
        return found

    def _together(
        self, policies: Sequence[Policy], principal: Principal, asked: tuple[Asked, ...]
    ) -> Masks:
        found = _NOTHING
        for policy in policies:
            found = found | self._masks_of(policy, principal, asked)
        return found

    def _masks_of(self, policy: Policy, principal: Principal, asked: tuple[Asked, ...]) -> Masks:
        if self._depends_on_principal(policy):
            return _masks(self._compile(policy), asked)
        key = (id(policy), principal.kind, principal.session_tags)
        if (found := self._masks.get(key)) is None:
            found = self._masks[key] = _masks(self._compile(policy), asked)
        return found

    def _compile(self, policy: Policy) -> CompiledPolicy:
        if (found := self._compiled.get(id(policy))) is None:
            found = self._compiled[id(policy)] = CompiledPolicy(policy)
        return found

    def _policies(self, principal: Principal) -> CompiledPolicies:
        return compile_policies(
            Policies(
                tuple({id(h.policy): h.policy for h in principal.policies}.values()),
                principal.boundary.policy if principal.boundary else None,
                self._levels(principal),
            ),
            self._compiled,
        )

    def _settle(self, found: _Answers, principal: Principal, unknown: int, own: bool) -> None:
        """Ask again what the policies together do not decide by what is certain of each."""
        policies = self._policies(principal)
        for at in _bits(unknown):
            one = found.asked[at]
            kind = (principal.kind, principal.session_tags, at)
            searched = None if own else self._searched.setdefault(kind, {})
            answer = policies.decide(one.request, one.knowledge, searched)
            if answer.certainty is Certainty.ALLOWED:
                found.allowed |= 1 << at
            elif answer.certainty is Certainty.DENIED:
                found.denied |= 1 << at
                found.explicit |= answer.explicit << at
            else:
                found.undecided[at] = answer.undecided


def _masks(policy: CompiledPolicy, asked: Sequence[Asked]) -> Masks:
    may_allow = must_allow = may_deny = must_deny = 0
    for one in policy.statements(_ACTION):
        may_apply = must_apply = 0
        bit = 1
        for question in asked:
            may, must = one.state(question.request, question.text, question.knowledge)
            if may:
                may_apply |= bit
                if must:
                    must_apply |= bit
            bit <<= 1
        if one.allows:
            may_allow |= may_apply
            must_allow |= must_apply
        else:
            may_deny |= may_apply
            must_deny |= must_apply
    return Masks(may_allow, must_allow, may_deny, must_deny)


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


@dataclass(slots=True)
class _Answers:
    """The answers to all questions about one principal, as masks."""

    questions: Questions
    asked: tuple[Asked, ...]
    allowed: int
    denied: int
    explicit: int
    undecided: dict[int, tuple[CompiledStatement, ...]] = field(default_factory=dict)

    def one(self, at: int) -> tuple[Certainty, bool, str]:
        """Return the answer to a question, whether it is an explicit deny, and its condition."""
        if self.allowed >> at & 1:
            return Certainty.ALLOWED, False, ""
        if self.denied >> at & 1:
            return Certainty.DENIED, bool(self.explicit >> at & 1), ""
        return Certainty.UNKNOWN, False, condition_words(self.undecided.get(at, ()))

    def node(self, number: int, *, own: bool) -> tuple[Certainty, bool, str]:
        """Return the answer for a node, for a document of this account or of AWS.

        The key is true; where a document of the account is named it may be absent instead.
        """
        first = len(self.questions.documents)
        present = self.one(first + number)
        if not own:
            return present
        absent = self.one(first + len(self.questions.nodes) + number)
        if present[0] is absent[0]:
            return present
        if Certainty.UNKNOWN in (present[0], absent[0]):
            return present if present[0] is Certainty.UNKNOWN else absent
        word = "true" if present[0] is Certainty.ALLOWED else "absent"
        return Certainty.UNKNOWN, False, f"ssm:SessionDocumentAccessCheck is {word}"


_ORDER = (Certainty.ALLOWED, Certainty.UNKNOWN, Certainty.DENIED)


def _document(found: _Answers, at: int) -> DocumentAnswer:
    """Return the best answer for a document on any of the nodes."""
    item = found.questions.documents[at]
    certainty, explicit, condition = found.one(at)
    if certainty is Certainty.DENIED:
        return DocumentAnswer(item.name, certainty, explicit)
    own = item.name != DEFAULT_DOCUMENT_NAME and bool(account_of(item.arn))
    nodes = [found.node(n, own=own) for n in range(len(found.questions.nodes))]
    best = min((one[0] for one in nodes), key=_ORDER.index, default=Certainty.DENIED)
    if best is Certainty.DENIED:
        return DocumentAnswer(item.name, best, any(one[1] for one in nodes))
    if best is Certainty.ALLOWED:
        return DocumentAnswer(item.name, certainty, False, condition)
    words = dict.fromkeys(one[2] for one in nodes if one[0] is best and one[2])
    parts = [part for part in (condition, " or ".join(words)) if part]
    return DocumentAnswer(item.name, best, False, " and ".join(dict.fromkeys(parts)))


def _standing(found: _Answers) -> Standing:
    documents = tuple(_document(found, at) for at in range(len(found.questions.documents)))
    any_document = documents[-1]
    bound, unbound_node = _bound(found)
    certainties = {one.certainty for one in documents}
    if Certainty.ALLOWED in certainties or bound is Bound.UNBOUND:
        status = Status.ALLOWED
    elif Certainty.UNKNOWN in certainties or bound is Bound.UNKNOWN:
        status = Status.UNKNOWN
    elif any_document.explicit:
        status = Status.DENIED
    else:
        status = Status.NONE
    return Standing(
        documents,
        status,
        bound,
        any_document.certainty is Certainty.ALLOWED,
        unbound_node,
    )


def _bound(found: _Answers) -> tuple[Bound | None, int | None]:
    """Return whether the service has to check the document, and a node that shows that it need not.

    None if no node may be allowed at all.
    """
    first, nodes = len(found.questions.documents), len(found.questions.nodes)
    at_all = {found.one(first + n)[0] for n in range(2 * nodes)}
    unchecked = [found.one(first + 2 * nodes + n)[0] for n in range(nodes)]
    if Certainty.ALLOWED in unchecked:
        return Bound.UNBOUND, unchecked.index(Certainty.ALLOWED)
    if Certainty.UNKNOWN in unchecked:
        return Bound.UNKNOWN, None
    return Bound.BOUND if at_all - {Certainty.DENIED} else None, None
