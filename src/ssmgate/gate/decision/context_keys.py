"""Which condition keys a denial may depend on although their values are not known.

A condition key or policy variable in the caller's policies is either given in the question, filled
in by IAM, known to be absent from the live request, looked up (a tag), or unknown. Everything that
no rule here covers is unknown. Loaded only after a denial.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import (
    LONG_TERM,
    Question,
    is_principal_tag,
    is_resource_tag,
)

_GLOBAL = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"
_SSM = (
    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html"
)

# Where a simulation lacks one of these, the live request lacks it too: a role has no user name, and
# an account outside an organization has no organization. The time is added to each simulation.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
FILLED_IN = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:principalid",
        "aws:principalorgid",
        "aws:principalorgmasteraccountid",
        "aws:principalorgpaths",
        "aws:principaltype",
        "aws:type",
        "aws:userid",
        "aws:username",
    }
)
"""Condition keys, in lower case, that IAM fills in for the simulated principal."""


@frozen
class Absence:
    """Condition keys that are not in the requests which ssmgate asks about, and AWS's page.

    `keys` are in lower case; a `*` at the end stands for any text. `only_users`: they are absent
    for IAM users, and unknown for role sessions. `only_long_term`: they are absent from requests
    that are signed with a user's access keys, and unknown for temporary credentials.
    """

    keys: tuple[str, ...]
    why: str
    page: str
    only_users: bool = False
    only_long_term: bool = False


ABSENT = (
    Absence(
        ("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:calledviaawsmcp"),
        "the principal makes the call directly",
        f"{_GLOBAL}#condition-keys-calledvia",
    ),
    Absence(
        (
            "aws:principalservicename",
            "aws:principalservicenameslist",
            "aws:sourceaccount",
            "aws:sourcearn",
            "aws:sourceorgid",
            "aws:sourceorgpaths",
        ),
        "only calls by an AWS service principal have it",
        f"{_GLOBAL}#condition-keys-principalservicename",
    ),
    Absence(
        ("aws:assumedroot",),
        "only sessions of AssumeRoot have it, and their principal is neither a user nor a role",
        f"{_GLOBAL}#condition-keys-assumedroot",
    ),
    Absence(
        ("aws:referer",),
        "only requests from a link in a browser have it",
        f"{_GLOBAL}#condition-keys-referer",
    ),
    Absence(
        ("aws:ismcpserviceaction",),
        "only actions of the MCP service have it",
        f"{_GLOBAL}#condition-keys-ismcpserviceaction",
    ),
    Absence(
        ("aws:requesttag/*", "aws:tagkeys"),
        "StartSession does not take tags",
        f"{_SSM}#awssystemsmanager-StartSession",
    ),
    Absence(
        ("ssm:autoapprove", "ssm:overwrite", "ssm:policies", "ssm:recursive", "ssm:synctype"),
        "other actions of Systems Manager have it",
        f"{_SSM}#awssystemsmanager-policy-keys",
    ),
    Absence(
        (
            "aws:chatbotsourcearn",
            "aws:ec2instancesourceprivateipv4",
            "aws:ec2instancesourcevpc",
            "aws:federatedprovider",
            "aws:sourceidentity",
            "ssm:sourceinstancearn",
        ),
        "only sessions of a role have it",
        f"{_GLOBAL}#condition-keys-role-session-properties",
        only_users=True,
    ),
    Absence(
        ("ssm:accessrequestid",),
        "only tokens for just-in-time node access have it, which are sessions of a role",
        "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
        "systems-manager-just-in-time-node-access-start-session.html",
        only_users=True,
    ),
    Absence(
        ("aws:multifactorauthpresent", "aws:multifactorauthage"),
        "only temporary credentials have it",
        f"{_GLOBAL}#condition-keys-multifactorauthpresent",
        only_long_term=True,
    ),
    Absence(
        ("aws:tokenissuetime",),
        "only temporary credentials have it",
        f"{_GLOBAL}#condition-keys-tokenissuetime",
        only_long_term=True,
    ),
)
"""The global keys and Systems Manager's keys that are known to be absent, each with AWS's page."""

# Keys with the prefix of a service are in requests to that service only, but for these, and for
# those of identity providers. They are properties of sessions of a role: a user lacks them.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
_OF_ROLE_SESSIONS = (
    "codebuild:",
    "ec2:roledelivery",
    "ec2:sourceinstancearn",
    "glue:",
    "identitystore:",
    "lambda:",
    "saml:",
    "ssm:sourceinstancearn",
    "sts:",
)

_PUNCTUATION = dict.fromkeys(map(ord, "-_./"))


def unknown_keys(question: Question, key_names: Sequence[str]) -> tuple[str, ...]:
    """Return those of `key_names` whose value in the live request is not known, each once.

    Tags are among them unless `question` gives them: whether they are known depends on what was
    looked up. Keys are case-insensitive.
    """
    first: dict[str, str] = {}
    for key_name in key_names:
        first.setdefault(key_name.lower(), key_name)
    return tuple(
        key_name
        for key, key_name in first.items()
        if not (key in FILLED_IN or question.gives(key) or is_absent(question, key))
    )


def is_absent(question: Question, key_name: str) -> bool:
    """Return whether the live request that `question` is about certainly lacks the key."""
    key, user = key_name.lower(), ":user/" in question.policy_source_arn
    prefix, colon, _ = key.partition(":")
    if prefix not in ("aws", question.action.partition(":")[0]):
        # The prefixes of identity providers are host names, with or without a path.
        if not colon or not prefix.isascii() or not prefix.translate(_PUNCTUATION).isalnum():
            return False
        return user or not (set("./") & {*prefix} or key.startswith(_OF_ROLE_SESSIONS))
    return any(
        _matches(pattern, key)
        for row in ABSENT
        if (user or not (row.only_users or row.only_long_term))
        and (question.credentials == LONG_TERM or not row.only_long_term)
        for pattern in row.keys
    )


def is_tag(key_name: str) -> bool:
    """Return whether the condition key is a tag of the principal or of the resource."""
    return is_resource_tag(key_name) or is_principal_tag(key_name)


def _matches(pattern: str, key: str) -> bool:
    return key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern
