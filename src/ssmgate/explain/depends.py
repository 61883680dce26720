"""List the condition keys that an allowed answer depends on."""

from __future__ import annotations

from dataclasses import replace

from ssmgate.explain.evidence import request_of
from ssmgate.explain.reasons import supplier
from ssmgate.explain.report import Answer, MissingKey, Verdict
from ssmgate.gate.decision.question import Question
from ssmgate.policy_language import Effect, Evaluation, Outcome, Policies, evaluate


def with_keys(answer: Answer, policies: Policies | None, mentioned: tuple[str, ...]) -> Answer:
    """Return `answer`, if it is allowed, with the keys that it depends on.

    They are the keys in conditions of the statements that cover the request: of those that allow
    it, and of those that would deny it. Where the policies are not known, and `policies` is None,
    they are `mentioned`, the keys in any statement. The verdict is unchanged.
    """
    if answer.verdict is not Verdict.ALLOWED or not answer.questions:
        return answer
    keys: dict[str, str] = {}
    for question in answer.questions:
        found = mentioned
        if policies is not None:
            found = _keys(evaluate(request_of(question), policies))
        for key in found:
            keys.setdefault(key.lower(), key)
    last = answer.questions[-1]
    missing = tuple(
        MissingKey(key, supplier(key, last)) for key in keys.values() if not _known(last, key)
    )
    return replace(answer, depends_on=tuple(keys.values()), missing=missing)


def _keys(evaluation: Evaluation) -> tuple[str, ...]:
    return tuple(
        condition.condition.key
        for layer in evaluation.layers
        for match in layer.statements
        if {match.action.outcome, match.resource.outcome} == {Outcome.MATCHED}
        and (match.applies or match.statement.effect is Effect.DENY)
        for condition in match.conditions
    )


def _known(question: Question, key: str) -> bool:
    """Return whether the question has the key, or every simulation of it does."""
    return question.gives(key) or key.lower() in _ADDED


# By ssmgate when it simulates, and by IAM itself.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
_ADDED = frozenset(
    f"aws:{name}"
    for name in (
        "currenttime",
        "epochtime",
        "principalaccount",
        "principalid",
        "principaltype",
        "principalorgid",
        "principalorgmasteraccountid",
        "principalorgpaths",
        "type",
        "userid",
        "username",
    )
)
