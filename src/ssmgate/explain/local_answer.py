"""Answer questions with the local evaluator: allowed, denied, or unknown and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ssmgate.explain import evidence, target_questions
from ssmgate.explain.advice import advise
from ssmgate.explain.arn_mistakes import is_document
from ssmgate.explain.known_context import PRINCIPAL_ARN, knowledge_of, likely_role
from ssmgate.explain.policy_files import PolicyFiles
from ssmgate.explain.proposals import LAYERS
from ssmgate.explain.report import Answer, MissingKey, Statement, Verdict
from ssmgate.explain.sources import place
from ssmgate.explain.weakness import without_check
from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY
from ssmgate.gate.decision.question import Caller, Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Context, Evaluation, Layer, Request, StatementMatch
from ssmgate.policy_language.decide import Certainty, Finding, decide

_POLICY_TYPES = {
    Layer.ORGANIZATIONS: "Service Control Policy",
    Layer.IDENTITY: "IAM Policy",
    Layer.BOUNDARY: BOUNDARY_POLICY,
}


def request_of(question: Question, caller: Caller) -> Request:
    """Return `question` for the local evaluator.

    A role's ARN of which the path is not known has the path that it most probably has: for an
    explanation. The answer takes every path into account (`known_context.knowledge_of`).
    """
    request = evidence.request_of(question)
    if caller.role_path_known or PRINCIPAL_ARN in request.context:
        return request
    entries = {
        key: found.values if found.multivalued else found.values[0]
        for key in request.context
        if (found := request.context.get(key)) is not None
    }
    return replace(request, context=Context({**entries, PRINCIPAL_ARN: likely_role(caller)}))


def answer(question: Question, caller: Caller, policy_files: PolicyFiles) -> Answer:
    """Answer `question`: allowed or denied hold whatever values the unknown keys have."""
    finding = decide(
        request_of(question, caller), policy_files.policies, knowledge_of(question, caller)
    )
    match finding.answer:
        case Certainty.ALLOWED:
            shown = _shown(finding.evaluation.matched_statements, finding, policy_files)
            return Answer(
                Verdict.ALLOWED,
                Reason.ALLOWED,
                f"allowed by {_policies(shown)}" if shown else "allowed",
                (question,),
                layer=LAYERS[Layer.IDENTITY],
                statements=shown,
            )
        case Certainty.DENIED:
            return _denied(question, finding, policy_files)
    return _unknown(question, caller, finding, policy_files)


def target_answer(
    questions: Sequence[Question], caller: Caller, policy_files: PolicyFiles
) -> Answer:
    """Answer the questions about one target (`target_questions`): all of them must allow it."""
    return of_answers([answer(question, caller, policy_files) for question in questions])


def of_answers(answers: Sequence[Answer]) -> Answer:
    """Return the answer about a target from those with and without the document access key.

    In the second of `answers`, if there is one, the key ssm:SessionDocumentAccessCheck is absent.
    Where the two differ, the answer is unknown and names the statements that make the difference.
    """
    first, *others = answers
    if {one.verdict for one in answers} != {Verdict.ALLOWED, Verdict.DENIED}:
        return next((one for one in answers if one.verdict is Verdict.UNKNOWN), first)
    allowed_with_key = first.verdict is Verdict.ALLOWED
    allowing, denied = (first, others[0]) if allowed_with_key else (others[0], first)
    return Answer(
        Verdict.UNKNOWN,
        Reason.ACCESS_CHECK_UNKNOWN,
        target_questions.differ(_places(allowing.statements), allowed_with_key),
        denied.questions,
        statements=allowing.statements,
        nearest=denied.nearest,
        advice=denied.advice,
    )


def enforced(question: Question, caller: Caller, policy_files: PolicyFiles) -> bool | None:
    """Return whether the policies make the service check the document, None if not known.

    They do if they deny the target of `question`, which they allow, with the key false.
    """
    request = without_check(request_of(question, caller))
    finding = decide(request, policy_files.policies, knowledge_of(question, caller))
    if finding.answer is Certainty.UNKNOWN:
        return None
    return finding.answer is Certainty.DENIED


def _denied(question: Question, finding: Finding, policy_files: PolicyFiles) -> Answer:
    what = f"{question.action} on {question.resource_arn}"
    layer = LAYERS[finding.layer or Layer.IDENTITY]
    denied = Answer(
        Verdict.DENIED,
        Reason.IMPLICIT_DENY,
        f"no {layer} allows {what}",
        (question,),
        layer=layer,
    )
    if finding.layer is Layer.RESOURCE_TYPE:
        denied = replace(
            denied, reason_code=Reason.NO_SUCH_RESOURCE, reason=f"no policy can allow {what}"
        )
    elif finding.explicit:
        denies = [match for found in finding.evaluation.layers for match in found.denies]
        shown = _shown(denies, finding, policy_files)
        denied = replace(
            denied,
            reason_code=Reason.EXPLICIT_DENY,
            reason=f"an explicit deny ({layer}, {_policies(shown)}) forbids {what}",
            statements=shown,
        )
    return evidence.with_explanation(denied, finding.evaluation)


def _unknown(
    question: Question, caller: Caller, finding: Finding, policy_files: PolicyFiles
) -> Answer:
    shown = _shown(finding.undecided, finding, policy_files)
    options = {key: _option(key, question, caller) for key in finding.keys}
    clauses = []
    if finding.keys:
        effect = "a deny" if finding.denies else "an allow"
        verb = "is" if len(finding.keys) == 1 else "are"
        clauses.append(
            f"{effect} depends on {', '.join(finding.keys)}, which {verb} not given:"
            f" {' '.join(dict.fromkeys(options.values()))}"
        )
    clauses += [
        f"AWS's documentation is ambiguous about the incomplete ARN {text}: write all six parts"
        for text in finding.two_readings
    ]
    tag_on_document = is_document(question.resource_arn) and any(map(is_resource_tag, finding.keys))
    return Answer(
        Verdict.UNKNOWN,
        Reason.KEY_NOT_GIVEN,
        "; ".join(clauses),
        (question,),
        statements=shown,
        missing=tuple(MissingKey(key, _or_absent(option)) for key, option in options.items()),
        advice=tuple(_tag_advice(finding.evaluation)) if tag_on_document else (),
    )


def _or_absent(option: str) -> str:
    """Return `option` and, if it gives a value of a key, the option for a request without it."""
    given, equals, _ = option.partition("=")
    return f"{option}, or {given}= if the request lacks it" if equals else option


def _option(key: str, question: Question, caller: Caller) -> str:
    """Return the option that gives the value of `key`."""
    if key.lower() == PRINCIPAL_ARN.lower() and not caller.role_path_known:
        name = caller.policy_source_arn.rpartition("/")[2]
        return f"--caller arn:{caller.partition}:iam::{caller.account}:role/PATH/{name}"
    of_document = is_document(question.resource_arn) and is_resource_tag(key)
    return f"--{'document-' if of_document else ''}context {key}=VALUE"


def _tag_advice(evaluation: Evaluation) -> Iterable[str]:
    """Yield the advice about conditions on the node's tags that stand over documents too."""
    for advice in advise(evaluation):
        if advice.code == "tag-condition-on-document":
            yield evidence.sentence(advice)


def _shown(
    matches: Iterable[StatementMatch], finding: Finding, policy_files: PolicyFiles
) -> tuple[Statement, ...]:
    return tuple(_statement(match, finding.evaluation, policy_files) for match in matches)


def _statement(
    match: StatementMatch, evaluation: Evaluation, policy_files: PolicyFiles
) -> Statement:
    layer = evaluation.layer_of(match)
    source = next(s for s in policy_files.sources if s.policy is match.policy)
    line, text = source.place(match.statement)
    return Statement(
        match.policy.source_policy_id,
        _POLICY_TYPES[layer],
        match.statement.sid,
        line,
        json.dumps(json.loads(text)),
    )


def _policies(statements: Iterable[Statement]) -> str:
    return ", ".join(dict.fromkeys(statement.policy for statement in statements))


def _places(statements: Iterable[Statement]) -> str:
    return " and ".join(place(s.policy, s.sid, s.line) for s in statements)
