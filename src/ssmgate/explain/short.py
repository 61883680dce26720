"""Say in a few words why a statement does not allow a document, or that it denies it."""

from __future__ import annotations

from ssmgate.explain.arn_mistakes import difference
from ssmgate.explain.near_miss import (
    ActionMiss,
    ConditionMiss,
    DenyingStatement,
    Miss,
    ResourceMiss,
)
from ssmgate.gate.decision.question import is_resource_tag
from ssmgate.policy_language import Context
from ssmgate.policy_language.patterns import Cover, resource_matches

_MISTAKES = {
    "aws-document-with-account": "has an account ID in the ARN of AWS's document",
    "document-without-account": "lacks the account ID in the document's ARN",
    "wrong-account": "allows the document in another account",
    "wrong-region": "allows the document in another region",
    "wrong-partition": "allows the document in another partition",
    "name-case": "has the document's name in another case",
    "name-misspelt": "misspells the document's name",
    "wildcard-past-name": "has more than the document's name",
    "wrong-type": "has an ARN that no document has",
}


def miss(found: Miss, document_arn: str, node_arn: str | None) -> str:
    """Return what the statement allows instead of the document, or what it requires.

    `node_arn` is the ARN of the target, None if IAM lists no such kind of target.
    """
    by_type = {type(failure): failure for failure in reversed(found.failures)}
    resource, action = by_type.get(ResourceMiss), by_type.get(ActionMiss)
    if isinstance(action, ActionMiss):
        if action.element == "NotAction":
            return f"excludes {action.closest}"
        return f"allows {action.closest}, not {action.request}"
    if isinstance(resource, ResourceMiss):
        return _resource(found, resource, document_arn, node_arn)
    condition = by_type.get(ConditionMiss)
    if not isinstance(condition, ConditionMiss):
        return "does not allow the document"
    wanted = f"{condition.key} {' or '.join(condition.wanted[:2])}"
    if condition.values is None:
        whose = "a document lacks" if is_resource_tag(condition.key) else "the request lacks"
        return f"requires {wanted}, which {whose}"
    return f"requires {wanted}, not {' or '.join(condition.values[:2])}"


def _resource(found: Miss, resource: ResourceMiss, document: str, node: str | None) -> str:
    if resource.element == "NotResource":
        return "excludes the document"
    if resource.unresolved:
        return f"has a policy variable without a value: {resource.closest}"
    if resource.differences and (mistake := difference(resource, document)):
        return _MISTAKES.get(mistake[0], "does not list the document")
    statement, version = found.match.statement, found.match.policy.version
    covers = [resource_matches(t, version, node, Context()) for t in statement.resources if node]
    if Cover.COVERED in covers:
        return "allows the node, not the document"
    if ":document/" in (resource.closest or ""):
        return "allows other documents, not this one"
    return "does not list the document"


def denial(found: DenyingStatement) -> str:
    """Return that the statement denies the document, and under which condition."""
    if not found.conditions:
        return "denies the document"
    seen = found.conditions[0]
    value = "absent" if seen.values is None else " or ".join(seen.values[:2])
    return f"denies the document, as {seen.condition.key} is {value}"
