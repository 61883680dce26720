"""After a denial: the tags that IAM was not told, and the keys that the policies mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ssmgate.aws import identity, simulation
from ssmgate.aws.clients import Clients
from ssmgate.core.decision import CannotTell, Layer, Outcome, Refusal, decide, unless_live
from ssmgate.core.evaluation import Evaluation
from ssmgate.core.question import Caller, ContextEntry, Question
from ssmgate.core.request import SessionRequest

MOST_CALLS = 2

Tags = tuple[tuple[str, str], ...]

_DOCUMENT_TAGS = ("aws:ResourceTag/", "ssm:resourceTag/")
_PRINCIPAL_TAGS = ("aws:PrincipalTag/",)


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What was asked for `request`, what IAM answered, and the outcome of that."""

    request: SessionRequest
    questions: tuple[Question, ...]
    evaluations: tuple[Evaluation, ...]
    outcome: Outcome


def look_again(clients: Clients, caller: Caller, first: FirstLook) -> Outcome:
    """The outcome of `first`, better founded where that was a denial. At most `MOST_CALLS` calls.

    If IAM reported tag keys missing, it is asked once more with the document's own tags
    (ssm:ListTagsForResource) or the principal's. If a denial remains, and a call, the keys that
    the caller's policies mention (iam:GetContextKeysForPrincipalPolicy) tell whether it is IAM's
    word or hangs on the live request: on an explicit deny IAM reports no key missing. A call that
    is refused or fails leaves the outcome as it was.

    The node's tags are not looked up: a document does not have them. Nor are session tags: no
    operation tells them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    outcome = first.outcome
    denied = _denied(outcome)
    if denied is None:
        return outcome
    missing = tuple(
        key.lower()
        for evaluation in first.evaluations
        if evaluation.resource_arn == denied.document_arn
        for key in evaluation.missing_context
    )
    entries, calls = _missing_tags(clients, caller, denied, missing)
    if entries:
        outcome, calls = _asked_with(entries, clients.iam, denied, first), calls + 1
    # The caller's own policies do not tell what a service control policy hangs on.
    if (
        calls < MOST_CALLS
        and isinstance(outcome, Refusal)
        and outcome.layer is not Layer.ORGANIZATIONS
    ):
        return unless_live(outcome, _mentioned_keys(clients.iam, caller))
    return outcome


def _denied(outcome: Outcome) -> Question | None:
    """What IAM denied, also where that denial was taken for one that hangs on live context."""
    match outcome:
        case Refusal() | CannotTell(reason_code="live-context"):
            return outcome.question
    return None


def _missing_tags(
    clients: Clients, caller: Caller, denied: Question, missing: Sequence[str]
) -> tuple[tuple[ContextEntry, ...], int]:
    """Tags with a value for some key of `missing` (lower case), and how many calls they took.

    One call at most, as the tags are of no use without another question.
    """
    entries: tuple[ContextEntry, ...] = ()
    calls = 0
    tags: Tags | None
    if _any(missing, _PRINCIPAL_TAGS) and caller.principal_tags is not None:
        entries += _entries(_PRINCIPAL_TAGS, caller.principal_tags)
    if _any(missing, _DOCUMENT_TAGS) and (name := _own_document(denied, clients, caller)):
        calls, tags = 1, _document_tags(clients.ssm, name)
        entries += _entries(_DOCUMENT_TAGS, tags)
    elif _any(missing, _PRINCIPAL_TAGS) and caller.principal_type == "User":
        calls, tags = 1, identity.user_tags(clients.iam, caller)
        entries += _entries(_PRINCIPAL_TAGS, tags)
    if not any(entry.key_name.lower() in missing for entry in entries):
        return (), calls
    return entries, calls


def _any(missing: Sequence[str], prefixes: Sequence[str]) -> bool:
    return any(key.startswith(prefix.lower()) for key in missing for prefix in prefixes)


def _entries(prefixes: Sequence[str], tags: Tags | None) -> tuple[ContextEntry, ...]:
    return tuple(
        ContextEntry(prefix + name, "string", (value,))
        for name, value in tags or ()
        for prefix in prefixes
    )


def _own_document(denied: Question, clients: Clients, caller: Caller) -> str | None:
    """The denied document's name, None if it is not of the caller's account and region."""
    here = f"arn:{clients.partition}:ssm:{clients.region}:{caller.account}:document"
    place, _, name = denied.document_arn.partition("/")
    return name if place == here else None


def _document_tags(ssm: Any, name: str) -> Tags | None:
    try:
        answer = ssm.list_tags_for_resource(ResourceType="Document", ResourceId=name)
        return tuple((tag["Key"], tag["Value"]) for tag in answer.get("TagList") or ())
    except Exception:
        return None


def _asked_with(
    entries: Sequence[ContextEntry], iam: Any, denied: Question, first: FirstLook
) -> Outcome:
    """The outcome with `entries` in the denied question's context too."""
    asked = denied.with_context(entries)
    answer = simulation.simulate(iam, asked, datetime.now(UTC))
    if isinstance(answer, CannotTell):
        return first.outcome
    questions = [asked if question == denied else question for question in first.questions]
    others = [e for e in first.evaluations if e.resource_arn != denied.document_arn]
    return decide(first.request, questions, [*others, *answer])


def _mentioned_keys(iam: Any, caller: Caller) -> Sequence[str]:
    try:
        answer = iam.get_context_keys_for_principal_policy(PolicySourceArn=caller.policy_source_arn)
        return [str(key) for key in answer.get("ContextKeyNames") or ()]
    except Exception:
        return ()
