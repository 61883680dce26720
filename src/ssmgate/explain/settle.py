"""Settle an unknown answer of IAM's simulation with the caller's policies, if all can be read."""

from __future__ import annotations

from dataclasses import replace

from ssmgate.explain.known_context import PRINCIPAL_ARN, knowledge_of
from ssmgate.explain.local_answer import request_of
from ssmgate.explain.proposals import LAYERS
from ssmgate.explain.report import Answer, Verdict
from ssmgate.explain.sources import Sources
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language.decide import Certainty, decide

DEPENDS_ON_KEYS = {
    Reason.KEYS_NOT_LISTABLE,
    Reason.LIVE_CONTEXT,
    Reason.LIVE_DENY,
    Reason.TAGS_DENY,
    Reason.TAGS_UNKNOWN,
}
"""Reason codes of answers that depend on values which the simulation did not have."""


def settled(answer: Answer, caller: Caller, known: Sources) -> Answer:
    """Return `answer`, or a denial where no value of the unknown keys makes the policies allow it.

    IAM reports the missing keys of all statements, those about other resources too. Policies that
    could not be read might allow it: then, and for an answer that does not depend on unknown keys,
    `answer` is returned. An unknown answer never becomes an allowed one.
    """
    if answer.verdict is not Verdict.UNKNOWN or answer.reason_code not in DEPENDS_ON_KEYS:
        return answer
    if known.unread:
        return answer
    for simulated in answer.questions:
        question = _without_guess(simulated, caller)
        knowledge = knowledge_of(question, caller)
        finding = decide(request_of(question, caller), known.policies, knowledge)
        if finding.answer is Certainty.DENIED and finding.layer is not None:
            layer, what = LAYERS[finding.layer], f"{question.action} on {question.resource_arn}"
            code = Reason.EXPLICIT_DENY if finding.explicit else Reason.IMPLICIT_DENY
            by = f"an explicit deny in the {layer} forbids" if finding.explicit else ""
            return replace(
                answer,
                verdict=Verdict.DENIED,
                reason_code=code,
                reason=f"{by or f'no {layer} allows'} {what}, whatever the unknown keys are",
                layer=layer,
                missing=(),
            )
    return answer


def _without_guess(question: Question, caller: Caller) -> Question:
    """Return `question` without the ARN of a role of which the path is not known."""
    if caller.role_path_known:
        return question
    entries = [e for e in question.context if e.key_name.lower() != PRINCIPAL_ARN.lower()]
    return replace(question, context=tuple(entries))
