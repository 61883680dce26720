"""iam:SimulatePrincipalPolicy: put a question, read the answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ssmgate.aws import failures
from ssmgate.core.decision import CannotTell
from ssmgate.core.evaluation import EvalDecision, Evaluation
from ssmgate.core.question import ACTION, ContextEntry, Question

# One action is one result, and results are what IAM counts: more pages than this is no answer.
_MOST_PAGES = 5


class UnreadableAnswer(Exception):
    """IAM's answer does not have the shape that it is documented to have."""


def simulate(iam: Any, question: Question, now: datetime) -> tuple[Evaluation, ...] | CannotTell:
    """Ask IAM `question` as of `now`, which has a time zone.

    What simulation cannot see, session policies and VPC endpoint policies among it, stays the
    service's to judge.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    entries = (*question.context, *_clock(now))
    request: dict[str, Any] = {
        "PolicySourceArn": question.policy_source_arn,
        "ActionNames": [ACTION],
        "ResourceArns": [question.document_arn],
        "ContextEntries": [
            {
                "ContextKeyName": entry.key_name,
                "ContextKeyType": entry.key_type,
                "ContextKeyValues": list(entry.values),
            }
            for entry in entries
        ],
    }
    evaluations: tuple[Evaluation, ...] = ()
    try:
        for _ in range(_MOST_PAGES):
            answer = iam.simulate_principal_policy(**request)
            evaluations += evaluations_of(answer, question.document_arn)
            if not answer.get("IsTruncated"):
                return evaluations
            request["Marker"] = _marker(answer)
    except UnreadableAnswer as error:
        return CannotTell("unreadable", f"IAM's answer cannot be read: {error}", question)
    except Exception as error:
        return failures.cannot_ask(error, question)
    return CannotTell("unreadable", "IAM's answer has no end", question)


def evaluations_of(answer: Mapping[str, Any], document_arn: str) -> tuple[Evaluation, ...]:
    """Read one page about `document_arn`, the only resource asked about.

    The top-level EvalResourceName may be a template such as
    `arn:aws:ssm:…:document/${DocumentName}`: what was decided about the document is in
    ResourceSpecificResults, or at the top where that is left out and the name is the ARN.

    Raises `UnreadableAnswer` for a missing required member, a decision that is none of IAM's
    three words, and a result whose two levels disagree.
    """
    found: list[Evaluation] = []
    for result in answer.get("EvaluationResults") or ():
        if result.get("EvalActionName") != ACTION:
            raise UnreadableAnswer("a result is about another action")
        top = _decision(result.get("EvalDecision"))
        boundary = _boundary(result)
        organizations = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations")
        specific = result.get("ResourceSpecificResults")
        if specific is None:
            specific = [{**result, "EvalResourceDecision": result.get("EvalDecision")}]
        for entry in specific:
            if entry.get("EvalResourceName") != document_arn:
                continue
            decision = _decision(entry.get("EvalResourceDecision"))
            if decision is not top and EvalDecision.ALLOWED in (decision, top):
                raise UnreadableAnswer("it allows at one level and denies at the other")
            found.append(
                Evaluation(
                    resource_arn=document_arn,
                    eval_decision=decision,
                    matched_policies=tuple(
                        str(statement.get("SourcePolicyId", "?"))
                        for statement in entry.get("MatchedStatements") or ()
                    ),
                    missing_context=tuple(
                        dict.fromkeys(
                            (entry.get("MissingContextValues") or [])
                            + (result.get("MissingContextValues") or [])
                        )
                    ),
                    allowed_by_permissions_boundary=_first(_boundary(entry), boundary),
                    allowed_by_organizations=organizations,
                )
            )
    return tuple(found)


def _marker(answer: Mapping[str, Any]) -> str:
    marker: str | None = answer.get("Marker")
    if not marker:
        raise UnreadableAnswer("it is truncated and has no marker")
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
    """False where any level says so, else whatever is reported."""
    told = [layer for layer in layers if layer is not None]
    return all(told) if told else None


def _clock(now: datetime) -> tuple[ContextEntry, ContextEntry]:
    moment = now.astimezone(UTC)
    return (
        ContextEntry("aws:CurrentTime", "date", (moment.strftime("%Y-%m-%dT%H:%M:%SZ"),)),
        ContextEntry("aws:EpochTime", "numeric", (str(int(moment.timestamp())),)),
    )
