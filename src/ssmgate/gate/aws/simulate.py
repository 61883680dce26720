"""Call iam:SimulatePrincipalPolicy, and read its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import ACTION, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason

# One action has one result, and IAM pages by results: an answer with more pages is invalid.
_MOST_PAGES = 5


class UnreadableAnswer(Exception):
    """IAM's answer does not have its documented structure."""


def simulate(
    iam: Any, question: Question, now: datetime, *, boundary: str | None = None
) -> tuple[Evaluation, ...] | Unknown:
    """Simulate `question` as of `now`, which has a time zone.

    `boundary` is the text of a policy that replaces the principal's boundary: for controls, never
    for what is permitted. What simulation does not cover, such as session policies and VPC
    endpoint policies, only the service checks.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """

    who = {"PolicySourceArn": question.policy_source_arn}
    return ask(iam.simulate_principal_policy, who, (question,), now, boundary)


def ask(
    call: Callable[..., Mapping[str, Any]],
    who: Mapping[str, Any],
    questions: Sequence[Question],
    now: datetime,
    boundary: str | None,
) -> tuple[Evaluation, ...] | Unknown:
    """Simulate `questions`, which differ only in the resource, with `call`, page by page.

    `call` is the operation of IAM's policy simulator; `who` has its arguments that choose the
    simulated policies. `now` and `boundary` as for `simulate`.
    """
    question = questions[0]
    clock = [entry for entry in _clock(now) if not question.gives(entry.key_name)]
    entries = (*question.context, *clock)
    request: dict[str, Any] = {
        **who,
        "ActionNames": [question.action],
        "ResourceArns": [q.resource_arn for q in questions],
        "ContextEntries": [
            {
                "ContextKeyName": entry.key_name,
                "ContextKeyType": entry.key_type,
                "ContextKeyValues": list(entry.values),
            }
            for entry in entries
        ],
    }
    if boundary is not None:
        request["PermissionsBoundaryPolicyInputList"] = [boundary]
    evaluations: tuple[Evaluation, ...] = ()
    try:
        for _ in range(_MOST_PAGES):
            answer = call(**request)
            evaluations += tuple(_really_missing(e, entries) for e in _read(answer, questions))
            marker = _next(answer)
            if not marker:
                return evaluations
            request["Marker"] = marker
    except UnreadableAnswer as error:
        return Unknown(Reason.UNREADABLE, f"IAM's answer cannot be read: {error}", question)
    except Exception as error:
        from ssmgate.gate.aws import errors

        return errors.cannot_ask(error, question)
    return Unknown(Reason.UNREADABLE, "IAM's answer has too many pages", question)


def _read(answer: Mapping[str, Any], questions: Sequence[Question]) -> tuple[Evaluation, ...]:
    arns, action = [question.resource_arn for question in questions], questions[0].action
    if len(arns) == 1:
        return evaluations_of(answer, arns[0], action)
    # Imported only here, as most requests mean one document.
    from ssmgate.gate.aws.simulate_several import evaluations_of_several

    return evaluations_of_several(answer, arns, action)


def _really_missing(evaluation: Evaluation, entries: Sequence[ContextEntry]) -> Evaluation:
    """Return `evaluation` without missing keys that IAM was given: it reports those too."""
    given = {entry.key_name.lower() for entry in entries}
    missing = tuple(key for key in evaluation.missing_context if key.lower() not in given)
    return replace(evaluation, missing_context=missing)


def evaluations_of(
    answer: Mapping[str, Any], resource_arn: str, action: str = ACTION
) -> tuple[Evaluation, ...]:
    """Return the evaluations on one page about `resource_arn`, the only simulated resource.

    The top-level EvalResourceName may be a template such as
    `arn:aws:ssm:…:document/${DocumentName}`: the decision about the document is in
    ResourceSpecificResults, or at the top if those are missing and the name is the ARN.

    Raises `UnreadableAnswer` for a missing required member, a decision other than IAM's three,
    and a result whose two levels disagree.
    """
    found: list[Evaluation] = []
    for result, top, organizations in results(answer, action):
        specific = result.get("ResourceSpecificResults")
        if specific is None:
            specific = [{**result, "EvalResourceDecision": result.get("EvalDecision")}]
        for entry in specific:
            if entry.get("EvalResourceName") != resource_arn:
                continue
            read = evaluation_of(entry, result, organizations)
            if read.eval_decision is not top and EvalDecision.ALLOWED in (read.eval_decision, top):
                raise UnreadableAnswer("it allows at one level and denies at the other")
            found.append(read)
    return tuple(found)


def results(
    answer: Mapping[str, Any], action: str
) -> Iterator[tuple[Mapping[str, Any], EvalDecision, bool | None]]:
    """Yield the results of one page, each with its top-level decision and the organization's."""
    for result in answer.get("EvaluationResults") or ():
        if result.get("EvalActionName") != action:
            raise UnreadableAnswer("a result is about another action")
        organizations = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations")
        yield result, _decision(result.get("EvalDecision")), organizations


def evaluation_of(
    entry: Mapping[str, Any], result: Mapping[str, Any], organizations: bool | None
) -> Evaluation:
    """Return the evaluation from the `entry` of one resource in `result`."""
    missing = (entry.get("MissingContextValues") or []) + (result.get("MissingContextValues") or [])
    return Evaluation(
        resource_arn=str(entry["EvalResourceName"]),
        eval_decision=_decision(entry.get("EvalResourceDecision")),
        matched_statements=tuple(
            _statement(statement) for statement in entry.get("MatchedStatements") or ()
        ),
        missing_context=tuple(dict.fromkeys(missing)),
        allowed_by_permissions_boundary=_first(_boundary(entry), _boundary(result)),
        allowed_by_organizations=organizations,
    )


def _statement(statement: Mapping[str, Any]) -> MatchedStatement:
    return MatchedStatement(
        str(statement.get("SourcePolicyId", "?")),
        str(statement.get("SourcePolicyType", "")),
        _position(statement.get("StartPosition")),
        _position(statement.get("EndPosition")),
    )


def _position(position: Any) -> tuple[int, int] | None:
    try:
        return int(position["Line"]), int(position["Column"])
    except (TypeError, KeyError, ValueError):
        return None


def _next(answer: Mapping[str, Any]) -> str:
    """Return the marker of the next page, empty after the last one."""
    marker: str = answer.get("Marker") or ""
    if answer.get("IsTruncated") and not marker:
        raise UnreadableAnswer("it is truncated and has no marker")
    if marker and not answer.get("IsTruncated"):
        raise UnreadableAnswer("it has a marker and is not truncated")
    return marker


def _decision(word: object) -> EvalDecision:
    try:
        return EvalDecision(word)
    except ValueError:
        raise UnreadableAnswer(f"{word!r} is not a decision") from None


def _boundary(result: Mapping[str, Any]) -> bool | None:
    detail = result.get("PermissionsBoundaryDecisionDetail", {})
    allowed: bool | None = detail.get("AllowedByPermissionsBoundary")
    return allowed


def _first(*layers: bool | None) -> bool | None:
    """Return False if any of `layers` is, True if others are reported, else None."""
    reported = [layer for layer in layers if layer is not None]
    return all(reported) if reported else None


def _clock(now: datetime) -> tuple[ContextEntry, ContextEntry]:
    moment = now.astimezone(UTC)
    return (
        ContextEntry("aws:CurrentTime", "date", (moment.strftime("%Y-%m-%dT%H:%M:%SZ"),)),
        ContextEntry("aws:EpochTime", "numeric", (str(int(moment.timestamp())),)),
    )
