"""Decide whether a request is permitted. Permits are made only here."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial

if TYPE_CHECKING:
    from ssmgate.gate.decision.reason_kinds import DenialReason, UnknownReason


@frozen
class Permit:
    """The permission to send `request`. Made only here, used only by `aws.start_session`.

    `overridden` is the denial that `mode = "permissive"` overrode, `left_to_service` why IAM could
    not be asked, so that only the service checks the document. Both are None if IAM allowed.

    A permit is a decision that this process has made, not data. So a copy of it is the permit
    itself, and it cannot be pickled: bytes from a file or a pipe must not replace a decision. Its
    constructor takes no keywords, so `dataclasses.replace` cannot put another request into it.
    That protects against mistakes, not against code in this process, which can call the
    constructor.
    """

    request: SessionRequest
    overridden: Denial | Unknown | LocalDenial | None = None
    left_to_service: Unknown | None = None

    def __new__(cls, *_fields: object) -> Permit:
        """Take the fields by position only."""
        return object.__new__(cls)

    def __copy__(self) -> Permit:
        """Return the permit itself."""
        return self

    def __deepcopy__(self, _memo: object) -> Permit:
        """Return the permit itself."""
        return self

    def __reduce__(self) -> NoReturn:
        """Raise `TypeError`: a permit cannot be pickled."""
        raise TypeError("a Permit cannot be pickled")

    def spelled_out(self) -> SessionRequest | None:
        """Return the second request that this permit covers: with the default document's name.

        An account with the older form of the ssm:SessionDocumentAccessCheck condition denies a
        request that does not name the permitted default document. None if a document was named,
        or if IAM did not allow it.
        """
        if self.request.document_name is not None or self.overridden is not None:
            return None
        return self.request.named(DEFAULT_DOCUMENT_NAME)


class Layer(enum.Enum):
    """The kind of policy because of which IAM denies, as far as simulation reports it."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    ORGANIZATIONS = "service control policy"


@frozen
class Denial:
    """IAM denies `question`, or the configuration does because only a wildcard allows it.

    `reason_code` is EXPLICIT_DENY or IMPLICIT_DENY, and NOT_NAMED for the configuration's denial.
    `matched_statements` are those that deny, or the wildcards that allow.
    """

    reason_code: DenialReason
    question: Question
    layer: Layer
    matched_statements: tuple[MatchedStatement, ...] = ()
    missing_context: tuple[str, ...] = ()

    @property
    def matched_policies(self) -> tuple[str, ...]:
        """Return the policies of the matched statements, each once."""
        return tuple(dict.fromkeys(s.source_policy_id for s in self.matched_statements))


@frozen
class Unknown:
    """IAM could not be called, or its answer does not decide. It is neither allowed nor denied.

    `reason` is one clause for the user. `question` is None if there was none. `live_context` are
    the condition keys whose value is not known. `denial` is IAM's denial if it may depend on them,
    or on keys that cannot be listed. `hints` are next steps after a failed call.
    """

    reason_code: UnknownReason
    reason: str
    question: Question | None = None
    live_context: tuple[str, ...] = ()
    denial: Denial | None = None
    hints: tuple[str, ...] = ()


Decision = Permit | Denial | Unknown


@frozen
class SimulationAttempt:
    """The questions simulated for `request`, IAM's answers, and the decision.

    `controls` are IAM's answers about documents that cannot exist, empty where wildcard grants are
    allowed.
    """

    request: SessionRequest
    questions: tuple[Question, ...]
    evaluations: tuple[Evaluation, ...]
    decision: Decision
    controls: tuple[Evaluation, ...] = ()


def decide(
    request: SessionRequest,
    questions: Sequence[Question],
    evaluations: Sequence[Evaluation],
    *,
    allow_wildcard_grants: bool = True,
    controls: Sequence[Evaluation] = (),
) -> Decision:
    """Return a permit for `request` if IAM allows every one of `questions`, else why not.

    `questions` are about the documents that `request` may mean, at least one. `evaluations` are all
    of IAM's answers to them, `controls` those to their controls. Without `allow_wildcard_grants`,
    some statement has to allow each document and not its control. An evaluation of any other
    resource, also of a wildcard or a template, is ignored. No question, no answer, or a
    contradiction never allows.

    Access to the target is not checked: StartSession enforces it.
    """
    if not questions:
        return Unknown(Reason.NO_QUESTION, "no session document was simulated")
    for question in questions:
        obstacle = denial_or_unknown(question, evaluations, allow_wildcard_grants, controls)
        if obstacle is not None:
            return obstacle
    return Permit(request)


def denial_or_unknown(
    question: Question,
    evaluations: Sequence[Evaluation],
    allow_wildcard_grants: bool,
    controls: Sequence[Evaluation],
) -> Denial | Unknown | None:
    """Return why the document of `question` is not permitted, None if it is. As `decide`."""
    obstacle = decide_about(question, evaluations)
    if obstacle is None and not allow_wildcard_grants:
        # Imported only here, as wildcard grants are allowed by default.
        from ssmgate.gate.decision.grant import unless_named

        return unless_named(question, evaluations, controls)
    return obstacle


def override(request: SessionRequest, decision: Denial | Unknown | LocalDenial) -> Permit:
    """Return a permit for `request` although `decision` is none. For `mode = "permissive"` only."""
    return Permit(request, decision)


NOT_ASKABLE = (
    Reason.FEDERATED_USER,
    Reason.NOT_ALLOWED_TO_SIMULATE,
    Reason.ROOT,
    Reason.SIMULATION_DENIED,
)
"""Why IAM cannot be asked about a caller at all. After any answer, or none in time, it can."""


def leave_to_service(request: SessionRequest, unknown: Unknown) -> Permit:
    """Return a permit for `request`, about which IAM cannot be asked (`on_unknown = "service"`).

    Raises `ValueError` for any other reason than `NOT_ASKABLE`, and for a request that does not
    name its document: the service certainly checks only a document that is named.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    if request.document_name is None or unknown.reason_code not in NOT_ASKABLE:
        raise ValueError(f"not left to the service: {unknown.reason_code}")
    return Permit(request, None, unknown)


def decide_about(question: Question, evaluations: Sequence[Evaluation]) -> Denial | Unknown | None:
    """Return why IAM does not allow `question`: None if every answer about it is "allowed"."""
    answers = [e for e in evaluations if e.resource_arn == question.resource_arn]
    if not answers:
        return Unknown(
            Reason.NO_ANSWER, "IAM's answer does not include the simulated resource", question
        )
    for answer in answers:
        if answer.eval_decision is not EvalDecision.ALLOWED:
            # Imported only here, as an allowed start does not need it.
            from ssmgate.gate.decision.denial import denial_or_unknown_of

            return denial_or_unknown_of(question, answer)
    if any(
        False in (a.allowed_by_organizations, a.allowed_by_permissions_boundary) for a in answers
    ):
        return Unknown(Reason.CONTRADICTION, "IAM's answer contradicts itself", question)
    return None
