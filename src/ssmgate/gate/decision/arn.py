"""Work out the ARNs of a session document, and the principal of a caller."""

from __future__ import annotations

import re

from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, DocumentName

# Customers cannot create documents with these prefixes, in upper or lower case:
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
RESERVED_PREFIXES = ("aws", "amazon", "amzn")
# AWS's spelling of its own documents. Only these certainly have an empty account in their ARN.
AWS_OWNED_PREFIXES = ("AWS-", "AWSEC2-", "AWSConfigRemediation-", "AWSSupport-", "Amazon")


def document_arns(
    document_name: str | None, *, partition: str, region: str, account: str
) -> tuple[str, ...]:
    """Return the ARNs under which IAM may know the document. The caller needs access to each.

    `document_name` is a name, a complete document ARN, or None for the default document.
    There is one ARN in nearly all cases: with the caller's account for a customer's document, with
    an empty account for a document of AWS, or the complete ARN itself. There are two if the name is
    reserved for AWS but not in AWS's spelling, or if a complete ARN has an account that does not
    fit the name: the service might use either.

    Raises `InvalidRequest` for anything else. Whether the document exists is not checked.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
    """
    given = DEFAULT_DOCUMENT_NAME if document_name is None else document_name
    document = DocumentName.parse(given)
    owner = document.account
    accounts = _accounts(document.name, owner or account)
    if owner is not None:
        accounts = (owner, *(() if owner in accounts else accounts))
    return tuple(
        f"arn:{document.partition or partition}:ssm:{document.region or region}:{a}"
        f":document/{document.name}"
        for a in accounts
    )


def _accounts(name: str, account: str) -> tuple[str, ...]:
    if name.startswith(AWS_OWNED_PREFIXES):
        return ("",)
    if name.lower().startswith(RESERVED_PREFIXES):
        return ("", account)
    return (account,)


@frozen
class Principal:
    """The principal that signed a call, read from GetCallerIdentity's ARN.

    `kind` is `user`, `role`, `federated-user`, `root`, or `unknown`.
    `name` is the user's or role's, without its path.
    `policy_source_arn` is the ARN for iam:SimulatePrincipalPolicy, empty if there is none. For a
    role it lacks the path, which the caller's ARN does not contain.
    """

    kind: str
    name: str
    policy_source_arn: str


_NAMED = r"[\w+=,.@-]+"
_USER = re.compile(rf"arn:[a-z-]+:iam::[0-9]{{12}}:user/([\x21-\x7e]*/)?({_NAMED})\Z", re.ASCII)
_ROLE = re.compile(
    rf"arn:([a-z-]+):sts::([0-9]{{12}}):assumed-role/({_NAMED})/{_NAMED}\Z", re.ASCII
)
_FEDERATED = re.compile(rf"arn:[a-z-]+:sts::[0-9]{{12}}:federated-user/({_NAMED})\Z", re.ASCII)
_ROOT = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:root\Z", re.ASCII)


def principal(caller_arn: str) -> Principal:
    """Return the principal of `caller_arn`; its kind is `unknown` rather than a guess.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    if match := _USER.match(caller_arn):
        return Principal("user", match[2], caller_arn)
    if match := _ROLE.match(caller_arn):
        return Principal("role", match[3], f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}")
    if match := _FEDERATED.match(caller_arn):
        return Principal("federated-user", match[1], "")
    if _ROOT.match(caller_arn):
        return Principal("root", "root", "")
    return Principal("unknown", "", "")


def account_of(arn: str) -> str:
    """Return the account field of an ARN, empty if it has none."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""
