"""Answers of an audit in words: about a document, and about all that a principal may start."""

from __future__ import annotations

from ssmgate.gate.decision.arn import AWS_OWNED_PREFIXES
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.audit import DocumentAnswer, Standing, Status
from ssmgate.policy_tools.questions import ANY_DOCUMENT

_MOST_NAMES = 5


def answer_in_words(one: DocumentAnswer) -> str:
    """Return the answer about one document."""
    if one.certainty is Certainty.DENIED:
        return "explicitly denied" if one.explicit else "denied"
    if one.certainty is Certainty.ALLOWED:
        return "allowed"
    if not one.condition:
        return "unknown"
    joined = " " if one.condition.startswith("unless ") else " if "
    return f"allowed{joined}{one.condition}"


def standing_in_words(standing: Standing) -> str:
    """Return what a principal may start."""
    if standing.allowed_any:
        return f"may start {any_document_in_words(standing)}"
    names = [
        one.name
        for one in standing.documents
        if one.certainty is Certainty.ALLOWED and one.name != ANY_DOCUMENT
    ]
    if names:
        return f"may start {', '.join(names)}"
    if standing.status is Status.ALLOWED:
        return "may start a session if the service does not check the document"
    conditions = dict.fromkeys(
        answer_in_words(one) for one in standing.documents if one.certainty is Certainty.UNKNOWN
    )
    if conditions:
        return "; ".join(conditions)
    return "explicitly denied" if standing.status is Status.DENIED else "may start nothing"


def any_document_in_words(standing: Standing) -> str:
    """Return which documents a principal may start to whom any other one is allowed.

    Those that are not allowed are named. Statements about the documents of an account do not cover
    AWS's own, whose ARNs have no account.
    """
    others = [one for one in standing.documents if one.name != ANY_DOCUMENT]
    but = [one for one in others if one.certainty is not Certainty.ALLOWED]
    of_aws = [one for one in others if one.name.startswith(AWS_OWNED_PREFIXES)]
    text = "any document"
    if len(of_aws) > 1 and all(one.certainty is Certainty.DENIED for one in of_aws):
        text = "any document of the account"
        but = [one for one in but if one not in of_aws]
    names = [
        one.name if one.certainty is Certainty.DENIED else f"{one.name} ({answer_in_words(one)})"
        for one in but
    ]
    if len(names) > _MOST_NAMES:
        names = [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
    return f"{text} but {', '.join(names)}" if names else text
