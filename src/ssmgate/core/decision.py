"""The decision: the one place where a permit is made."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ssmgate.core.evaluation import EvalDecision, Evaluation
from ssmgate.core.question import Question
from ssmgate.core.request import DEFAULT_DOCUMENT_NAME, SessionRequest


@dataclass(frozen=True, slots=True)
class Permit:
    """`request` may be sent. Made here alone, spent by `aws.start_session` alone.

    `overridden` holds the refusal that `mode = "permissive"` set aside, and is None when IAM
    allowed.
    """

    request: SessionRequest
    overridden: Refusal | CannotTell | None = None

    def spelled_out(self) -> SessionRequest | None:
        """The second request that this permit covers: the default document by its name.

        An account with the older form of the ssm:SessionDocumentAccessCheck condition refuses a
        request that leaves the permitted default document out. None when a document was named,
        and when IAM did not allow it.
        """
        if self.request.document_name is not None or self.overridden is not None:
            return None
        return self.request.named(DEFAULT_DOCUMENT_NAME)


class Layer(enum.Enum):
    """The kind of policy that kept IAM from allowing, as far as simulation reports it."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    ORGANIZATIONS = "service control policy"


@dataclass(frozen=True, slots=True)
class Refusal:
    """IAM says no to `question`. `reason_code` is `explicit-deny` or `no-allow`."""

    reason_code: str
    question: Question
    layer: Layer
    matched_policies: tuple[str, ...] = ()
    missing_context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CannotTell:
    """IAM could not be asked, or not completely. Not a word about what IAM thinks.

    `reason` is one clause for the reader. `question` is None where there was none to ask.
    `live_context` are the condition keys that only the live request will have.
    """

    reason_code: str
    reason: str
    question: Question | None = None
    live_context: tuple[str, ...] = ()


Outcome = Permit | Refusal | CannotTell

# Known to the service when the request arrives, and to nobody before. Lower case.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_LIVE_KEYS = frozenset(
    {
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:referer",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:vpcsourceip",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:sourceidentity",
        "sts:sourceidentity",
    }
)


def decide(
    request: SessionRequest, questions: Sequence[Question], evaluations: Sequence[Evaluation]
) -> Outcome:
    """Permit `request` if IAM allows every one of `questions`.

    `questions` are the documents that `request` may mean, at least one. `evaluations` are all
    of IAM's answers to them. An evaluation of any other resource, a wildcard or a template
    included, says nothing. No question, no answer, or a contradiction is never a yes.

    Access to the target is not examined: StartSession enforces it.
    """
    if not questions:
        return CannotTell("no-question", "no document was asked about")
    for question in questions:
        verdict = _verdict(question, evaluations)
        if verdict is not None:
            return verdict
    return Permit(request)


def override(request: SessionRequest, outcome: Refusal | CannotTell) -> Permit:
    """Permit `request` although it was refused: `mode = "permissive"`, and nothing else."""
    return Permit(request, overridden=outcome)


def _verdict(question: Question, evaluations: Sequence[Evaluation]) -> Refusal | CannotTell | None:
    """None if IAM allows `question`, and every answer about it says so."""
    answers = [e for e in evaluations if e.resource_arn == question.document_arn]
    if not answers:
        return CannotTell(
            "no-answer", "IAM's answer does not speak of the session document", question
        )
    for answer in answers:
        if answer.eval_decision is not EvalDecision.ALLOWED:
            return _denied(question, answer)
    if any(
        False in (a.allowed_by_organizations, a.allowed_by_permissions_boundary) for a in answers
    ):
        return CannotTell("contradiction", "IAM's answer contradicts itself", question)
    return None


def _denied(question: Question, answer: Evaluation) -> Refusal | CannotTell:
    if answer.allowed_by_organizations is False:
        layer = Layer.ORGANIZATIONS
    elif answer.allowed_by_permissions_boundary is False:
        layer = Layer.BOUNDARY
    else:
        layer = Layer.IDENTITY
    explicit = answer.eval_decision is EvalDecision.EXPLICIT_DENY
    refusal = Refusal(
        "explicit-deny" if explicit else "no-allow",
        question,
        layer,
        answer.matched_policies,
        answer.missing_context,
    )
    return refusal if explicit else unless_live(refusal, answer.missing_context)


def unless_live(refusal: Refusal, key_names: Sequence[str]) -> Refusal | CannotTell:
    """`refusal`, or CannotTell if one of `key_names` is known only to the live request.

    `key_names` are condition keys that the policies mention. A key that the question gave a
    value for is not waited for: IAM names those among the missing too.
    """
    live = tuple(
        key for key in key_names if key.lower() in _LIVE_KEYS and not refusal.question.gives(key)
    )
    if not live:
        return refusal
    if refusal.reason_code == "explicit-deny":
        reason_code, what = "live-deny", "an explicit deny may hang on what"
    else:
        reason_code, what = "live-context", "the policies ask for what"
    reason = f"{what} only the live request has: {', '.join(live)}"
    return CannotTell(reason_code, reason, refusal.question, live)
