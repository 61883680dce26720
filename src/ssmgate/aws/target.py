"""May the caller start a session on this target, whatever the document?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ssmgate.aws import second_look, simulation
from ssmgate.aws.clients import Clients
from ssmgate.core.arn import target_arn
from ssmgate.core.decision import CannotTell, Refusal, unless_live, verdict
from ssmgate.core.evaluation import Evaluation
from ssmgate.core.question import Caller, ContextEntry, Question

Obstacle = Refusal | CannotTell | None


@dataclass(frozen=True, slots=True)
class TargetLook:
    """What was asked about a target, and what stands in the way: None where IAM allows.

    `questions` and `evaluations` are those of the last time. `demanded` tells whether the
    target is refused with ssm:SessionDocumentAccessCheck false, as the service may set it when
    no document is named: then the policies enforce the check on the service's side too. None
    where that is not known, and where the target is refused anyway.
    """

    obstacle: Obstacle
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    demanded: bool | None = None


def look_at_target(
    clients: Clients,
    caller: Caller,
    target: str,
    *,
    named: bool,
    mfa_done: bool,
    configured: tuple[ContextEntry, ...],
) -> TargetLook:
    """Ask IAM about `target`, a node or a task, apart from the document. At most six calls.

    The node's tags are looked up only after a denial that reports such keys missing. `named`:
    whether the request names its document. The service sets ssm:SessionDocumentAccessCheck true
    then; without a name it may set it either way, by the generations of AWS's documentation, and
    only an answer that is the same for both is certain. ssmgate spells the default document out
    where the service wants that, so an allow with the key true is a yes.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    arn = target_arn(
        target, partition=clients.partition, region=clients.region, account=caller.account
    )
    if arn is None:
        return TargetLook(
            CannotTell("unknown-target", f"IAM lists no kind of resource for target {target!r}")
        )

    def question(access_check: bool) -> Question:
        return Question.about(
            caller,
            arn,
            region=clients.region,
            secure_transport=clients.secure_transport,
            mfa_done=mfa_done,
            configured=configured,
            document_access_check=access_check,
        )

    with_key = _look(clients, caller, target, question(True))
    asked = with_key.questions[0]
    # The tags that the first look found, so that the key alone makes the difference.
    without = question(False).with_context(asked.context)
    if with_key.obstacle is not None and named:
        return with_key
    answer = simulation.simulate(clients.iam, without, datetime.now(UTC))
    other = answer if isinstance(answer, CannotTell) else verdict(without, answer)
    if with_key.obstacle is None:
        demanded = None if isinstance(other, CannotTell) else other is not None
        return replace(with_key, demanded=demanded)
    if other is None:
        return replace(
            with_key,
            obstacle=CannotTell(
                "hangs-on-the-key",
                "it hangs on ssm:SessionDocumentAccessCheck, which the service may set either way"
                " when no document is named",
                asked,
            ),
        )
    return with_key


def _look(clients: Clients, caller: Caller, target: str, question: Question) -> TargetLook:
    first = simulation.simulate(clients.iam, question, datetime.now(UTC))
    if isinstance(first, CannotTell):
        return TargetLook(first, (question,))
    obstacle = verdict(question, first)
    look = TargetLook(obstacle, (question,), first)
    if obstacle is None or (isinstance(obstacle, CannotTell) and not obstacle.live_context):
        return look
    missing = tuple(key.lower() for answer in first for key in answer.missing_context)
    told = _Tags(clients, target)
    entries, _ = second_look.missing_tags(
        clients.iam, caller, missing, told.read if told.known_kind else None
    )
    if entries:
        question = question.with_context(entries)
        answer = simulation.simulate(clients.iam, question, datetime.now(UTC))
        if isinstance(answer, CannotTell):
            return TargetLook(answer, (question,))
        obstacle = verdict(question, answer)
        look = TargetLook(obstacle, (question,), answer)
    elif second_look.asks_for_tags(missing) and not told.found:
        reason = "the policies ask for the target's tags, which could not be read"
        return replace(look, obstacle=CannotTell("tags-unknown", reason, question))
    if isinstance(obstacle, Refusal):
        keys = second_look.mentioned_keys(clients.iam, caller)
        return replace(look, obstacle=unless_live(obstacle, keys))
    return look


class _Tags:
    """A target's own tags, read once and only when asked for."""

    def __init__(self, clients: Clients, target: str) -> None:
        readers: dict[str, Any] = {"i": _instance_tags, "mi": _managed_node_tags}
        self._read = readers.get(target.partition("-")[0])
        self._call = partial(self._read, clients, target) if self._read else None
        self.found = False

    @property
    def known_kind(self) -> bool:
        return self._call is not None

    def read(self) -> second_look.Tags | None:
        """None where nobody tells."""
        if self._call is None:
            return None
        try:
            tags: second_look.Tags = self._call()
        except Exception:
            return None
        self.found = True
        return tags


def _instance_tags(clients: Clients, target: str) -> second_look.Tags:
    answer = clients.another("ec2").describe_tags(
        Filters=[{"Name": "resource-id", "Values": [target]}]
    )
    return tuple((tag["Key"], tag["Value"]) for tag in answer.get("Tags") or ())


def _managed_node_tags(clients: Clients, target: str) -> second_look.Tags:
    answer = clients.ssm.list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=target)
    return tuple((tag["Key"], tag["Value"]) for tag in answer.get("TagList") or ())
