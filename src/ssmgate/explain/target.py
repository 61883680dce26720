"""May the caller start a session on this target, whatever the document?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from ssmgate.gate.access import refine
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.aws import simulate, tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import Denial, Unknown, verdict
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason

Obstacle = Denial | Unknown | None


@dataclass(frozen=True, slots=True)
class TargetAttempt:
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


def simulate_target(
    clients: Clients, builder: QuestionBuilder, target: str, *, named: bool
) -> TargetAttempt:
    """Ask IAM about `target`, a node or a task, apart from the document. At most six calls.

    The tags of the node and of the principal are looked up only after a denial, as for a
    document (`second_look`). `named`: whether the request names its document. The service sets
    ssm:SessionDocumentAccessCheck true then; without a name it may set it either way, by the
    generations of AWS's documentation, and only an answer that is the same for both is certain.
    ssmgate spells the default document out where the service wants that, so an allow with the
    key true is a yes.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    with_key_true = builder.target(target)
    with_key_false = builder.target(target, document_access_check=False)
    if with_key_true is None or with_key_false is None:
        return TargetAttempt(
            Unknown(Reason.UNKNOWN_TARGET, f"IAM lists no kind of resource for target {target!r}")
        )
    lookups, own = tags.Lookups(clients.iam, builder.caller), _source(clients, target)
    with_key = _look_again(lookups, with_key_true, _look(lookups, with_key_true), own)
    asked = with_key.questions[0]
    if with_key.obstacle is not None and named:
        return with_key
    # The tags that the first look found, so that the key alone makes the difference.
    without = _look(lookups, with_key_false.with_context(asked.context))
    if any(tags.is_tag(key) for e in without.evaluations for key in e.missing_context):
        without = _look_again(lookups, with_key_false, without, own)
    other = without.obstacle
    if with_key.obstacle is None:
        demanded = None if isinstance(other, Unknown) else other is not None
        return replace(with_key, demanded=demanded)
    if other is None:
        return replace(
            with_key,
            obstacle=Unknown(
                Reason.ACCESS_CHECK_UNKNOWN,
                "it hangs on ssm:SessionDocumentAccessCheck, which the service may set either way"
                " when no document is named",
                asked,
            ),
        )
    return with_key


def _look(lookups: tags.Lookups, question: Question) -> TargetAttempt:
    answer = simulate.simulate(lookups.iam, question, datetime.now(UTC))
    if isinstance(answer, Unknown):
        return TargetAttempt(answer, (question,))
    return TargetAttempt(verdict(question, answer), (question,), answer)


def _look_again(
    lookups: tags.Lookups, question: Question, first: TargetAttempt, own: tags.Source
) -> TargetAttempt:
    """`first`, better founded where that was a denial. `question` is it without any tags."""
    denial = first.obstacle
    if denial is None or (isinstance(denial, Unknown) and not denial.live_context):
        return first
    found = refine.look_up(lookups, question, denial, first.evaluations, own)
    asked = first.questions[0].with_context(found.entries)
    last = first if asked == first.questions[0] else _look(lookups, asked)
    return replace(last, obstacle=refine.settled(lookups, question, last.obstacle, found))


def _source(clients: Clients, target: str) -> tags.Source:
    """Where the tags of `target` come from. They are read once, and only when asked for."""

    @cache
    def read() -> tags.Tags | None:
        try:
            return reader(clients, target)
        except Exception:
            return None

    match target.partition("-")[0]:
        case "i":
            reader, permission = _instance_tags, "ec2:DescribeTags"
        case "mi":
            reader, permission = _managed_node_tags, "ssm:ListTagsForResource"
        case _:
            return tags.Source(lambda: None, "ssmgate does not read for this kind of target")
    return tags.Source(read, f"could not be read ({permission})")


def _instance_tags(clients: Clients, target: str) -> tags.Tags:
    answer = clients.another("ec2").describe_tags(
        Filters=[{"Name": "resource-id", "Values": [target]}]
    )
    return tuple((tag["Key"], tag["Value"]) for tag in answer.get("Tags") or ())


def _managed_node_tags(clients: Clients, target: str) -> tags.Tags:
    answer = clients.ssm.list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=target)
    return tuple((tag["Key"], tag["Value"]) for tag in answer["TagList"])
