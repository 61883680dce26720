"""Simulate whether the caller may start a session on a target, with any document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from ssmgate.explain.sources import place
from ssmgate.explain.target_questions import CHECK_KEY, differ, target_questions, without_check
from ssmgate.gate.access import refine
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.aws import simulate, tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import Denial, Unknown, decide_about
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import RESOURCE_TAG_PREFIXES, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason

Obstacle = Denial | Unknown | None


@dataclass(frozen=True, slots=True)
class TargetAttempt:
    """The simulation of a target. `obstacle` is None if IAM allows it.

    `questions` and `evaluations` are those of the simulation that decided. `demanded` is whether
    the target is denied with ssm:SessionDocumentAccessCheck false, as AWS's older text describes a
    request without a document: then the policies make the service check the document too. It is
    None if that is not known, and if the target is not allowed.
    """

    obstacle: Obstacle
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    demanded: bool | None = None


def simulate_target(
    clients: Clients, builder: QuestionBuilder, target: str, document_name: str | None
) -> TargetAttempt:
    """Simulate `target`, a node or a task, separately from the document, in at most nine calls.

    `document_name` is the name in the request, None if there is none. The questions are those that
    the service may ask (`target_questions`): where two of them are answered differently, the
    outcome is unknown. With the key false the target is simulated for `demanded` only. The tags of
    the node and of the principal are read only after a denial, as for a document
    (`gate.access.refine`). Raises `InvalidRequest` for an invalid document name.
    """
    questions = target_questions(builder, target, document_name)
    if not questions:
        return TargetAttempt(
            Unknown(Reason.UNKNOWN_TARGET, f"IAM lists no kind of resource for target {target!r}")
        )
    simulation = _Simulation(clients, builder, target)
    with_key, *others = [simulation.of(question) for question in questions]
    for without_key in others:
        if (with_key.obstacle is None) is not (without_key.obstacle is None):
            return _differing(with_key, without_key)
    question = without_check(builder, target)
    if with_key.obstacle is not None or question is None:
        return with_key
    other = simulation.of(question).obstacle
    return replace(with_key, demanded=None if isinstance(other, Unknown) else other is not None)


def _differing(with_key: TargetAttempt, without_key: TargetAttempt) -> TargetAttempt:
    """Return the unknown outcome of a target that only one of two questions allows."""
    allowed_with_key = with_key.obstacle is None
    allowing, denied = (with_key, without_key) if allowed_with_key else (without_key, with_key)
    if isinstance(denied.obstacle, Unknown) and set(denied.obstacle.live_context) != {CHECK_KEY}:
        return denied
    matched = dict.fromkeys(s for e in allowing.evaluations for s in e.matched_statements)
    places = [
        place(s.source_policy_id, None, None if s.start is None else s.start[0]) for s in matched
    ]
    reason = differ(" and ".join(places) or "some statement", allowed_with_key)
    unknown = Unknown(Reason.ACCESS_CHECK_UNKNOWN, reason, denied.questions[0])
    return replace(denied, obstacle=unknown)


class UntaggedSimulation:
    """Simulates questions about resources whose tags cannot be read, as those about a target."""

    def __init__(self, clients: Clients, builder: QuestionBuilder) -> None:
        self._lookups = tags.Lookups(clients.iam, builder.caller, clients.session)

    def of(self, question: Question) -> TargetAttempt:
        """Simulate `question`, and after a denial once more with the tags of the principal."""
        own = tags.Source(lambda: None, "ssmgate does not read for this kind of resource")
        first = _simulate(self._lookups, question)
        return _resimulate(
            self._lookups, question, first, None if question.resource_arn == "*" else own
        )


class _Simulation:
    """Simulates questions about one target, with the tags that were found for an earlier one."""

    def __init__(self, clients: Clients, builder: QuestionBuilder, target: str) -> None:
        self._lookups = tags.Lookups(clients.iam, builder.caller, clients.session)
        self._own = _source(clients, builder, target)
        self._tags: tuple[ContextEntry, ...] = ()

    def of(self, question: Question) -> TargetAttempt:
        """Simulate `question`, and after a denial once more with tags that were not known yet."""
        first = _simulate(self._lookups, question.with_context(self._tags))
        attempt = _resimulate(self._lookups, question, first, self._own)
        known = attempt.questions[0].context[len(question.context) :]
        self._tags = tuple(dict.fromkeys((*self._tags, *known)))
        return attempt


def _simulate(lookups: tags.Lookups, question: Question) -> TargetAttempt:
    answer = simulate.simulate(lookups.iam, question, datetime.now(UTC))
    if isinstance(answer, Unknown):
        return TargetAttempt(answer, (question,))
    return TargetAttempt(decide_about(question, answer), (question,), answer)


def _resimulate(
    lookups: tags.Lookups, question: Question, first: TargetAttempt, own: tags.Source | None
) -> TargetAttempt:
    """Return `first`, or after a denial a simulation with tags. `question` is without any tags."""
    denial = first.obstacle
    if denial is None or (isinstance(denial, Unknown) and not denial.live_context):
        return first
    tag_lookup = refine.look_up(lookups, question, denial, first.evaluations, own)
    with_tags = first.questions[0].with_context(tag_lookup.entries)
    last = first if with_tags == first.questions[0] else _simulate(lookups, with_tags)
    return replace(last, obstacle=refine.settled(lookups, question, last.obstacle, tag_lookup))


def _source(clients: Clients, builder: QuestionBuilder, target: str) -> tags.Source:
    """Return the source of the tags of `target`. They are read once, and only if needed.

    For a task, the Service Authorization Reference lists aws:ResourceTag/KEY alone.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    question = builder.target(target)
    prefixes: tuple[str, ...] = RESOURCE_TAG_PREFIXES

    @cache
    def read() -> tags.Tags | None:
        try:
            return reader(clients, target if question is None else question.resource_arn)
        except Exception:
            return None

    match "" if question is None else question.resource_arn.split(":")[5].partition("/")[0]:
        case "instance":
            reader, permission = _instance_tags, "ec2:DescribeTags"
        case "managed-instance":
            reader, permission = _managed_node_tags, "ssm:ListTagsForResource"
        case "task":
            reader, permission = _task_tags, "ecs:ListTagsForResource"
            prefixes = ("aws:ResourceTag/",)
        case _:
            return tags.Source(lambda: None, "ssmgate does not read for this kind of target")
    return tags.Source(read, f"could not be read ({permission})", prefixes)


def _instance_tags(clients: Clients, arn: str) -> tags.Tags:
    answer = clients.another("ec2").describe_tags(
        Filters=[{"Name": "resource-id", "Values": [arn.rpartition("/")[2]]}]
    )
    return tuple((tag["Key"], tag["Value"]) for tag in answer.get("Tags") or ())


def _managed_node_tags(clients: Clients, arn: str) -> tags.Tags:
    node = arn.rpartition("/")[2]
    answer = clients.ssm.list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=node)
    return tuple((tag["Key"], tag["Value"]) for tag in answer["TagList"])


def _task_tags(clients: Clients, arn: str) -> tags.Tags:
    """Return the tags of an ECS task. Its ARN has to be the one with the cluster's name.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTagsForResource.html
    """
    answer = clients.another("ecs").list_tags_for_resource(resourceArn=arn)
    return tuple((tag["key"], tag["value"]) for tag in answer["tags"])
