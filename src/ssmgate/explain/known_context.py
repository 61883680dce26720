"""What is known of the context of a request before it is made: for the local evaluator."""

from __future__ import annotations

from ssmgate.explain.key_mistakes import right_key
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.context_keys import is_absent
from ssmgate.gate.decision.question import Caller, Question, is_resource_tag
from ssmgate.gate.decision.wildcards import Wildcard
from ssmgate.policy_language.knowledge import Knowledge, Part, Shape

PRINCIPAL_ARN = "aws:PrincipalArn"

_SSO_PREFIX = "AWSReservedSSO_"
_SSO_PATH = "aws-reserved/sso.amazonaws.com/"


def knowledge_of(question: Question, caller: Caller) -> Knowledge:
    """Return what is known of the keys that `question` has no value of.

    Known to be absent are those that it has without a value, that the request of this caller
    certainly lacks (`gate.decision.context_keys`), the tags of AWS's own documents (assumed: the
    account that owns a document tags it), and misspelled keys, which no request has. The path of
    the role is not known where the caller is given as a role session.
    """
    empty = {entry.key_name.lower() for entry in question.context if not entry.values}
    of_aws = not account_of(question.resource_arn)

    def absent(key: str) -> bool:
        return (
            key.lower() in empty
            or is_absent(question, key)
            or (of_aws and is_resource_tag(key))
            or _is_of_users(key, caller)
            or right_key(key) is not None
        )

    given = {entry.key_name.lower() for entry in question.context}
    if caller.role_path_known or PRINCIPAL_ARN.lower() in given:
        return Knowledge(absent)
    return Knowledge(absent, {PRINCIPAL_ARN.lower(): _shape_of_role(caller)})


def _is_of_users(key: str, caller: Caller) -> bool:
    """Return whether only IAM users have `key`, and the caller is a role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-username
    """
    return key.lower() == "aws:username" and caller.principal_type != "User"


def likely_role(caller: Caller) -> str:
    """Return the role's ARN with the path that it most probably has.

    Roles of IAM Identity Center have a path with or without a Region.
    https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
    """
    prefix, _, name = caller.policy_source_arn.rpartition("/")
    if caller.role_path_known or not name.startswith(_SSO_PREFIX):
        return caller.policy_source_arn
    return f"{prefix}/{_SSO_PATH}{name}"


def _shape_of_role(caller: Caller) -> Shape:
    prefix, _, name = likely_role(caller).rpartition("/")
    if name.startswith(_SSO_PREFIX):
        return (*prefix, "/", Part.PATH, *name)
    return (*prefix, "/", Wildcard.ANY, *name)
