"""Simulate whether the caller may start a session on a target, with any document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from ssmgate.gate.access import refine
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.aws import simulate, tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import Denial, Unknown, decide_about
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason

Obstacle = Denial | Unknown | None


@dataclass(frozen=True, slots=True)
class TargetAttempt:
    """The simulation of a target. `obstacle` is None if IAM allows it.

    `questions` and `evaluations` are those of the last simulation. `demanded` is whether the
    target is denied with ssm:SessionDocumentAccessCheck false, as the service may set it if no
    document is named: then the policies make the service check the document too. It is None if
    that is not known, and if the target is denied in any case.
    """

    obstacle: Obstacle
    questions: tuple[Question, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    demanded: bool | None = None


def simulate_target(
    clients: Clients, builder: QuestionBuilder, target: str, *, named: bool
) -> TargetAttempt:
    """Simulate `target`, a node or a task, separately from the document, in at most six calls.

    The tags of the node and of the principal are read only after a denial, as for a document
    (`gate.access.refine`). `named` is whether the request names its document. The service then
    sets ssm:SessionDocumentAccessCheck to true. Without a name, versions of AWS's documentation
    differ, so a denial is certain only if both values give it. An allow with the key true is
    certain: ssmgate names the default document where the service requires it.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    with_key_true = builder.target(target)
    with_key_false = builder.target(target, document_access_check=False)
    if with_key_true is None or with_key_false is None:
        return TargetAttempt(
            Unknown(Reason.UNKNOWN_TARGET, f"IAM lists no kind of resource for target {target!r}")
        )
    lookups, own = tags.Lookups(clients.iam, builder.caller), _source(clients, target)
    with_key = _resimulate(lookups, with_key_true, _simulate(lookups, with_key_true), own)
    question = with_key.questions[0]
    if with_key.obstacle is not None and named:
        return with_key
    # With the tags found by the first simulation, so that only the key differs.
    without = _simulate(lookups, with_key_false.with_context(question.context))
    if any(tags.is_tag(key) for e in without.evaluations for key in e.missing_context):
        without = _resimulate(lookups, with_key_false, without, own)
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
                question,
            ),
        )
    return with_key


def _simulate(lookups: tags.Lookups, question: Question) -> TargetAttempt:
    answer = simulate.simulate(lookups.iam, question, datetime.now(UTC))
    if isinstance(answer, Unknown):
        return TargetAttempt(answer, (question,))
    return TargetAttempt(decide_about(question, answer), (question,), answer)


def _resimulate(
    lookups: tags.Lookups, question: Question, first: TargetAttempt, own: tags.Source
) -> TargetAttempt:
    """Return `first`, or after a denial a simulation with tags. `question` is without any tags."""
    denial = first.obstacle
    if denial is None or (isinstance(denial, Unknown) and not denial.live_context):
        return first
    tag_lookup = refine.look_up(lookups, question, denial, first.evaluations, own)
    with_tags = first.questions[0].with_context(tag_lookup.entries)
    last = first if with_tags == first.questions[0] else _simulate(lookups, with_tags)
    return replace(last, obstacle=refine.settled(lookups, question, last.obstacle, tag_lookup))


def _source(clients: Clients, target: str) -> tags.Source:
    """Return the source of the tags of `target`. They are read once, and only if needed."""

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
