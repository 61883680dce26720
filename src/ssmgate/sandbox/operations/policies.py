"""Refuse policies that cannot be read when they are stored, and the deletion of used ones."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from moto.iam import models
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.policy_validation import IAMPolicyDocumentValidator, IAMTrustPolicyDocumentValidator

from ssmgate.policy_language import PolicyError, parse_policy
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.trust import parse_trust


def install_validators() -> None:
    """Make moto's IAM validate each policy that it stores with the sandbox's parser as well."""
    models.IAMPolicyDocumentValidator = _validator(IAMPolicyDocumentValidator, parse_policy)
    models.IAMTrustPolicyDocumentValidator = _validator(
        IAMTrustPolicyDocumentValidator, parse_trust
    )


def _validator(moto: Any, parse: Callable[[str], object]) -> Any:
    class Validator(moto):  # type: ignore[misc]
        """moto's checks, which have IAM's messages, and then the parser's."""

        def __init__(self, policy_document: str) -> None:
            super().__init__(_without_numbers(policy_document))
            self._original = policy_document

        def validate(self) -> None:
            super().validate()
            try:
                parse(self._original)
            except PolicyError as error:
                # IAM's message ends after the first sentence.
                raise MalformedPolicyDocument(f"Syntax errors in policy. {error}") from error

    return Validator


def _without_numbers(text: str) -> str:
    """Return a policy with the numbers in its conditions as strings.

    IAM accepts a number in place of its text, moto does not.
    """
    try:
        document = json.loads(text)
    except ValueError:
        return text
    statements = document.get("Statement") if isinstance(document, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, dict) and "Condition" in statement:
            statement["Condition"] = _texts(statement["Condition"])
    return json.dumps(document)


def _texts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def with_readable_trust(create_role: Any) -> Any:
    """Return CreateRole with the trust policy validated; moto stores any text."""

    @functools.wraps(create_role)
    def create(self: Any) -> Any:
        models.IAMTrustPolicyDocumentValidator(
            self._get_param("AssumeRolePolicyDocument") or ""
        ).validate()
        return create_role(self)

    return create


def with_readable_content(put_policy: Any) -> Any:
    """Return CreatePolicy or UpdatePolicy of Organizations with the content validated.

    Raises `ServiceFault` MalformedPolicyDocumentException for a service control policy that cannot
    be read. Other types of policies have no effect in the sandbox, and are not validated.
    """

    @functools.wraps(put_policy)
    def put(self: Any) -> Any:
        parameters = self.request_params
        kind = parameters.get("Type")
        if kind is None:
            stored = self.organizations_backend.get_policy_by_id(parameters["PolicyId"])
            kind = stored.type
        if kind == "SERVICE_CONTROL_POLICY" and parameters.get("Content") is not None:
            try:
                parse_policy(parameters["Content"])
            except PolicyError as error:
                raise ServiceFault(
                    "MalformedPolicyDocumentException",
                    "The provided policy document does not meet the requirements of the specified"
                    f" policy type. {error}",
                ) from error
        return put_policy(self)

    return put


def unless_in_use(delete_policy: Any) -> Any:
    """Return DeletePolicy of IAM for policies without attachments and other versions.

    Raises `ServiceFault` DeleteConflict for any other policy. Whether the policy is a permissions
    boundary is not checked.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
    """

    @functools.wraps(delete_policy)
    def delete(self: Any) -> Any:
        arn = self._get_param("PolicyArn")
        backend = self.backend
        holders = (*backend.users.values(), *backend.groups.values(), *backend.roles.values())
        if any(arn in holder.managed_policies for holder in holders):
            raise ServiceFault(
                "DeleteConflict", "Cannot delete a policy attached to entities.", 409
            )
        policy = backend.managed_policies.get(arn)
        if policy is not None and len(policy.versions) > 1:
            raise ServiceFault(
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must delete"
                " the policy's versions. The default version is deleted with the policy.",
                409,
            )
        return delete_policy(self)

    return delete
