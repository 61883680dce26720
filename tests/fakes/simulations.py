"""Answers of iam:SimulatePrincipalPolicy as botocore parses them, in the recorded shapes."""

from __future__ import annotations

from typing import Any

ARN = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
TEMPLATE = "arn:aws:ssm:${Region}:${Account}:document/${DocumentName}"
OTHER = "arn:aws:ssm:us-east-1:111122223333:document/Other"


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of SimulatePrincipalPolicy with these results."""
    return {"EvaluationResults": list(results), "IsTruncated": False}


def result(decision: str = "allowed", **members: Any) -> dict[str, Any]:
    """Return one result, about `ARN` unless `members` say otherwise."""
    return {
        "EvalActionName": "ssm:StartSession",
        "EvalResourceName": ARN,
        "EvalDecision": decision,
        "ResourceSpecificResults": [{"EvalResourceName": ARN, "EvalResourceDecision": decision}],
        **members,
    }


def entry(decision: str, arn: str = ARN, **members: Any) -> dict[str, Any]:
    """Return one entry of ResourceSpecificResults."""
    return {"EvalResourceName": arn, "EvalResourceDecision": decision, **members}


def several(top: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the answer about several resources, whose top level has the decision `top`."""
    read = result(top, EvalResourceName=TEMPLATE, **members)
    return answer({**read, "EvalDecision": top, "ResourceSpecificResults": list(entries)})
