"""After a denial: the tags that IAM was not told, and the keys that the policies mention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.aws import identity, simulation
from ssmgate.aws.clients import Clients
from ssmgate.aws.first_look import conclude
from ssmgate.core.decision import CannotTell, Layer, Look, Outcome, Refusal, unless_live
from ssmgate.core.question import Caller, ContextEntry, Question
from ssmgate.core.rules import Explicit

MOST_CALLS = 2

Tags = tuple[tuple[str, str], ...]

_RESOURCE_TAGS = ("aws:ResourceTag/", "ssm:resourceTag/")
_PRINCIPAL_TAGS = ("aws:PrincipalTag/",)


def look_again(clients: Clients, caller: Caller, first: Look, explicit: Explicit) -> Look:
    """`first`, better founded where that was a denial. At most `MOST_CALLS` calls.

    If IAM reported tag keys missing, it is asked once more with the document's own tags
    (ssm:ListTagsForResource) or the principal's. If a denial remains, and a call, the keys that
    the caller's policies mention (iam:GetContextKeysForPrincipalPolicy) tell whether it is IAM's
    word or hangs on the live request: on an explicit deny IAM reports no key missing. A call that
    is refused or fails leaves the outcome as it was.

    The node's tags are not looked up: a document does not have them. Nor are session tags: no
    operation tells them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    denied = _denied(first.outcome)
    if denied is None:
        return first
    missing = tuple(
        key.lower()
        for evaluation in first.evaluations
        if evaluation.resource_arn == denied.resource_arn
        for key in evaluation.missing_context
    )
    entries, calls = _missing_tags(clients, caller, denied, missing)
    last = first
    if entries:
        last, calls = _asked_with(entries, clients.iam, denied, first, explicit), calls + 1
    outcome = last.outcome
    # The caller's own policies do not tell what a service control policy hangs on.
    if (
        calls < MOST_CALLS
        and isinstance(outcome, Refusal)
        and outcome.reason_code != "not-named"
        and outcome.layer is not Layer.ORGANIZATIONS
    ):
        return replace(last, outcome=unless_live(outcome, mentioned_keys(clients.iam, caller)))
    return last


def _denied(outcome: Outcome) -> Question | None:
    """What IAM denied, also where that denial was taken for one that hangs on live context."""
    match outcome:
        case Refusal(reason_code="not-named"):
            return None
        case Refusal() | CannotTell(reason_code="live-context"):
            return outcome.question
    return None


def _missing_tags(
    clients: Clients, caller: Caller, denied: Question, missing: Sequence[str]
) -> tuple[tuple[ContextEntry, ...], int]:
    name = _own_document(denied, clients, caller)
    own_tags = None if name is None else lambda: document_tags(clients.ssm, name)
    return missing_tags(clients.iam, caller, missing, own_tags)


def missing_tags(
    iam: Any,
    caller: Caller,
    missing: Sequence[str],
    own_tags: Callable[[], Tags | None] | None,
) -> tuple[tuple[ContextEntry, ...], int]:
    """Tags with a value for some key of `missing` (lower case), and how many calls they took.

    One call at most, as the tags are of no use without another question. `own_tags` makes the
    call that tells the resource's own, and is None where there is none.
    """
    entries: tuple[ContextEntry, ...] = ()
    calls = 0
    if _any(missing, _PRINCIPAL_TAGS) and caller.principal_tags is not None:
        entries += _entries(_PRINCIPAL_TAGS, caller.principal_tags)
    if own_tags is not None and asks_for_tags(missing):
        calls = 1
        entries += _entries(_RESOURCE_TAGS, own_tags())
    elif _any(missing, _PRINCIPAL_TAGS) and caller.principal_type == "User":
        calls = 1
        entries += _entries(_PRINCIPAL_TAGS, identity.user_tags(iam, caller))
    if not any(entry.key_name.lower() in missing for entry in entries):
        return (), calls
    return entries, calls


def asks_for_tags(missing: Sequence[str]) -> bool:
    """Whether some key of `missing` (lower case) is a tag of the resource's own."""
    return _any(missing, _RESOURCE_TAGS)


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
    place, _, name = denied.resource_arn.partition("/")
    return name if place == here else None


def document_tags(ssm: Any, name: str) -> Tags | None:
    """The tags of one of the account's documents, None where SSM does not tell."""
    try:
        answer = ssm.list_tags_for_resource(ResourceType="Document", ResourceId=name)
        return tuple((tag["Key"], tag["Value"]) for tag in answer.get("TagList") or ())
    except Exception:
        return None


def _asked_with(
    entries: Sequence[ContextEntry], iam: Any, denied: Question, first: Look, explicit: Explicit
) -> Look:
    """`first` with `entries` in the denied question's context too."""
    asked = denied.with_context(entries)
    answer = simulation.simulate(iam, asked, datetime.now(UTC))
    if isinstance(answer, CannotTell):
        return first
    questions = tuple(asked if question == denied else question for question in first.questions)
    others = tuple(e for e in first.evaluations if e.resource_arn != denied.resource_arn)
    return conclude(iam, first.request, questions, (*others, *answer), explicit)


def mentioned_keys(iam: Any, caller: Caller) -> Sequence[str]:
    """The condition keys that the caller's policies mention, empty where IAM does not tell."""
    try:
        answer = iam.get_context_keys_for_principal_policy(PolicySourceArn=caller.policy_source_arn)
        return [str(key) for key in answer.get("ContextKeyNames") or ()]
    except Exception:
        return ()
