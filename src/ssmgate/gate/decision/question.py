"""The question to IAM: may this principal start a session with this document, or on this target?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.frozen import frozen

ACTION = "ssm:StartSession"

FIXED_KEYS = frozenset(
    {
        "ssm:sessiondocumentaccesscheck",
        "aws:requestedregion",
        "aws:userid",
        "aws:principalarn",
        "aws:principaltype",
        "aws:securetransport",
        "aws:viaawsservice",
        "aws:viaawsmcpservice",
        "aws:principalisawsservice",
        "aws:resourceaccount",
        "aws:currenttime",
        "aws:epochtime",
    }
)
"""Condition keys, in lower case, that ssmgate itself knows: the configuration cannot set them."""

RESOURCE_TAG_PREFIXES = ("aws:ResourceTag/", "ssm:resourceTag/")
"""The prefixes of condition keys for tags of the resource. Keys are case-insensitive."""

PRINCIPAL_TAG_PREFIX = "aws:PrincipalTag/"

# The caller itself signs the request and sends it to Systems Manager.
_FALSE = ("aws:ViaAWSService", "aws:ViaAWSMCPService", "aws:PrincipalIsAWSService")

MFA_KEY = "aws:MultiFactorAuthPresent"

LONG_TERM = "long-term"


@frozen
class Caller:
    """The principal that starts the session.

    `caller_arn`, `account` and `user_id` are GetCallerIdentity's. `policy_source_arn` is the
    IAM user or role that is simulated. `principal_type` is the value of `aws:PrincipalType`.
    `role_path_known` is false if iam:GetRole did not return the role's path.
    """

    account: str
    caller_arn: str
    policy_source_arn: str
    user_id: str
    principal_type: str
    partition: str
    role_path_known: bool = True


@frozen
class ContextEntry:
    """A condition key with its values, as iam:SimulatePrincipalPolicy takes it.

    `key_type` is a type of API_ContextEntry: `string`, `boolean`, `numeric`, `date`, `ip`
    and their `…List` forms.
    """

    key_name: str
    key_type: str
    values: tuple[str, ...]


@frozen
class Question:
    """The question whether `policy_source_arn` may do `action` on `resource_arn` in this context.

    A document and a target are simulated in different calls. In one call they would share their
    context: the node's tags would then apply to the document too. `resource_arn` is `*` for an
    action without resources. The time of day is added only when the question is simulated.
    `credentials` is `LONG_TERM` if the request is signed with a user's access keys, else empty.
    """

    policy_source_arn: str
    resource_arn: str
    context: tuple[ContextEntry, ...]
    action: str = ACTION
    credentials: str = ""

    @classmethod
    def about(
        cls,
        caller: Caller,
        resource_arn: str,
        *,
        region: str,
        secure_transport: bool,
        mfa_done: bool,
        configured: tuple[ContextEntry, ...] = (),
        document_access_check: bool | None = True,
        action: str = ACTION,
        credentials: str = "",
    ) -> Question:
        """Return the question about `resource_arn` that the service in `region` would evaluate.

        `secure_transport`: whether StartSession is sent over TLS. `mfa_done`: whether this process
        prompted for an MFA code to get its credentials; false leaves the key out, as nothing is
        known then. `configured` are the configuration's entries, none of them in `FIXED_KEYS`.
        `document_access_check` is the value of ssm:SessionDocumentAccessCheck, None for an action
        that does not have it.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        entries = [
            ContextEntry("aws:RequestedRegion", "string", (region,)),
            # IAM would set the ARN, not the id.
            ContextEntry("aws:userid", "string", (caller.user_id,)),
            ContextEntry("aws:PrincipalType", "string", (caller.principal_type,)),
            ContextEntry("aws:SecureTransport", "boolean", (boolean_word(secure_transport),)),
            *(ContextEntry(key, "boolean", ("false",)) for key in _FALSE),
        ]
        if caller.role_path_known:  # else a denial by this key would be one by a guess
            principal = ContextEntry("aws:PrincipalArn", "string", (caller.policy_source_arn,))
            entries.insert(2, principal)
        if document_access_check is not None:
            word = boolean_word(document_access_check)
            entries.insert(0, ContextEntry("ssm:SessionDocumentAccessCheck", "boolean", (word,)))
        if owner := account_of(resource_arn):
            entries.append(ContextEntry("aws:ResourceAccount", "string", (owner,)))
        keys = {entry.key_name.lower() for entry in configured}
        if mfa_done and MFA_KEY.lower() not in keys:
            entries.append(ContextEntry(MFA_KEY, "boolean", ("true",)))
        context = (*entries, *configured)
        return cls(caller.policy_source_arn, resource_arn, context, action, credentials)

    def gives(self, key_name: str) -> bool:
        """Return whether the context has a value of `key_name`, in upper or lower case."""
        return any(entry.key_name.lower() == key_name.lower() for entry in self.context)

    def with_context(self, entries: Iterable[ContextEntry]) -> Question:
        """Return this question with `entries` added. A key that it already has is unchanged."""
        added = tuple(entry for entry in entries if not self.gives(entry.key_name))
        return replace(self, context=(*self.context, *added))


def is_resource_tag(key_name: str) -> bool:
    """Return whether the condition key is a tag of the resource."""
    return key_name.lower().startswith(_RESOURCE_TAGS)


def is_principal_tag(key_name: str) -> bool:
    """Return whether the condition key is a tag of the caller's IAM user, role or session."""
    return key_name.lower().startswith(_PRINCIPAL_TAG)


_RESOURCE_TAGS = tuple(prefix.lower() for prefix in RESOURCE_TAG_PREFIXES)
_PRINCIPAL_TAG = PRINCIPAL_TAG_PREFIX.lower()


def boolean_word(value: bool) -> str:
    """Return `value` as in a context entry."""
    return "true" if value else "false"
