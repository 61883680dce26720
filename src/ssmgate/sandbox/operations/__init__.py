"""Extend moto with the operations that it lacks, and authorize every restricted operation.

The methods are added to moto's own response classes, so that one endpoint serves all operations.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.iam.models import ManagedPolicy, iam_backends
from moto.iam.responses import IamResponse
from moto.organizations.models import organizations_backends
from moto.organizations.responses import OrganizationsResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from ssmgate.sandbox import lighter
from ssmgate.sandbox.enforcement import RESOURCES, RequestScope, authorize, check_credentials
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.operations import corrections, iam, offered, policies, ssm, sts
from ssmgate.sandbox.operations.request import Signer, context, members, stored_arn
from ssmgate.sandbox.principals import account_of_key
from ssmgate.sandbox.sessions import Sessions

Method = Callable[[Any], Any]

# moto's class -> operations that are new or replace moto's own.
_ADDED: Mapping[type, Mapping[str, Method]] = {
    IamResponse: {
        "simulate_principal_policy": iam.simulate_principal_policy,
        "simulate_custom_policy": iam.simulate_custom_policy,
        "get_context_keys_for_principal_policy": iam.get_context_keys_for_principal_policy,
        "get_context_keys_for_custom_policy": iam.get_context_keys_for_custom_policy,
        "put_user_permissions_boundary": iam.put_user_permissions_boundary,
        "delete_user_permissions_boundary": iam.delete_user_permissions_boundary,
        "list_service_specific_credentials": iam.list_service_specific_credentials,
    },
    SimpleSystemManagerResponse: {
        "start_session": ssm.start_session,
        "resume_session": ssm.resume_session,
        "terminate_session": ssm.terminate_session,
        "describe_sessions": ssm.describe_sessions,
        "get_connection_status": ssm.get_connection_status,
        "list_documents": ssm.list_documents,
        "describe_instance_information": ssm.describe_instance_information,
    },
    TokenResponse: {
        "assume_role": sts.assume_role,
        "assume_role_with_web_identity": sts.assume_role_with_web_identity,
        "get_federation_token": sts.get_federation_token,
        "get_session_token": sts.get_session_token,
    },
}

# moto's class -> operations of moto that are wrapped.
_WRAPPED: Mapping[type, Mapping[str, Callable[[Method], Method]]] = {
    IamResponse: {
        "create_role": policies.with_readable_trust,
        "create_user": iam.with_boundary,
        "delete_policy": policies.unless_in_use,
        "delete_user": corrections.with_conflicts,
        "update_role": corrections.with_kept_members,
        "update_user": corrections.with_kept_tags,
    },
    ManagedPolicy: {"update_default_version": corrections.with_one_default},
    OrganizationsResponse: {
        "create_policy": policies.with_readable_content,
        "update_policy": policies.with_readable_content,
    },
    TokenResponse: {"get_caller_identity": sts.for_signer},
}

# moto has these, but they return credentials that the sandbox cannot restrict.
_NOT_OFFERED = ("AssumeRoleWithSAML",)

# Their resources have tags, or there are several resources or policies: these authorize themselves.
AUTHORIZE_THEMSELVES = (
    "ssm:GetConnectionStatus",
    "ssm:ResumeSession",
    "ssm:StartSession",
    "ssm:TerminateSession",
    "sts:AssumeRole",
    "sts:GetFederationToken",
)


def operations() -> dict[str, tuple[list[str], list[str]]]:
    """Return for each service the operations that are offered, and those that are not.

    For the documentation: call `install` first.
    """
    found = {}
    for service, (response, names) in offered.models().items():
        yes = [n for n in names if offered.is_offered(response, n) and n not in _NOT_OFFERED]
        found[service] = (yes, [name for name in names if name not in yes])
    return found


def changed(service: str) -> list[str]:
    """Return the operations of `service` that are added to moto or extend moto's own."""
    response, names = offered.models()[service]
    own = {**_ADDED.get(response, {}), **_WRAPPED.get(response, {})}
    return [name for name in names if camelcase_to_underscores(name) in own]


class _Answer(ServiceException):  # type: ignore[misc]
    """A fault in the form that moto serializes."""


def install(sessions: Sessions, log: Callable[[str], None]) -> None:
    """Extend moto's response classes in this process, once. `log` gets a line for each request."""
    for response, methods in _ADDED.items():
        for name, method in methods.items():
            setattr(response, name, method)
    for response, wrappers in _WRAPPED.items():
        for name, wrapper in wrappers.items():
            setattr(response, name, wrapper(getattr(response, name)))
    policies.install_validators()
    SimpleSystemManagerResponse.sandbox_sessions = sessions
    # Common errors such as AccessDenied are not in the service models, also not in AWS's.
    warnings.filterwarnings("ignore", message=r"Exception\(_Answer\)")
    BaseResponse.parse_parameters = offered.with_faults(BaseResponse.parse_parameters)
    BaseResponse.call_action = _checked(BaseResponse.call_action, log)
    BaseResponse.get_current_account = _account


def _account(response: Any) -> str:
    """Return the account of the access key, the seed's own for a key the sandbox never issued."""
    account = account_of_key(response.get_access_key()) or ""
    # Only accounts that exist: moto would create any other one.
    return account if account in iam_backends else os.environ["MOTO_ACCOUNT_ID"]


def _checked(call_action: Any, log: Callable[[str], None]) -> Any:
    @functools.wraps(call_action)
    def checked(self: Any) -> Any:
        action = f"{self.service_name}:{self._get_action()}"
        signer = Signer(self)
        self.sandbox_notes = []
        try:
            if isinstance(self, SimpleSystemManagerResponse):
                ssm.put_aws_documents(self.ssm_backend)
            _check(self, action, signer)
            lighter.load_for(*action.split(":", 1))
            status, headers, body = call_action(self)
            if int(status) >= 400:
                self.sandbox_notes.append(f"error {status}")
        except ServiceFault as fault:
            status, headers, body = _answer(self, fault)
        except Exception as error:
            status, headers, body = _answer(self, offered.failed(self, error))
        log(f"{signer.name} {action} {'; '.join(self.sandbox_notes)}")
        return status, headers, body

    return checked


def _answer(response: Any, fault: ServiceFault) -> Any:
    response.sandbox_notes.append(f"{fault.code}: {fault.message}")
    _, headers, body = response.serialized(ActionResult(_Answer(fault.code, fault.message)))
    headers, body = response._enrich_response(headers, body)
    headers["status"] = str(fault.status)
    return fault.status, headers, body


def _check(response: Any, action: str, signer: Signer) -> None:
    if action.partition(":")[2] in _NOT_OFFERED:
        raise ServiceFault("InvalidAction", f"{action} is not supported by the sandbox.")
    offered.require(response)
    if (unread := offered.unread(response)) is not None:
        raise unread
    if (
        response.service_name == "organizations"
        and action != "organizations:DescribeOrganization"
        and response.current_account in organizations_backends.master_accounts
    ):
        # moto would answer as if the member were another organization.
        raise ServiceFault(
            "AccessDeniedException", "You don't have permissions to access this resource."
        )
    response.sandbox_signer = signer
    if isinstance(signer.fault, InvalidKey):
        raise signer.fault.for_service(response.service_name)
    if signer.caller is not None:
        try:
            check_credentials(signer.caller, response.service_name, action.partition(":")[2])
        except InvalidKey as fault:
            raise fault.for_service(response.service_name) from None
    if action in AUTHORIZE_THEMSELVES:
        return
    resource = RESOURCES.get(action)
    if resource is None:
        response.sandbox_notes.append("not restricted")
        return
    caller = signer.known()
    if caller is None:
        response.sandbox_notes.append("not restricted")
        return
    scope = RequestScope(
        response.partition,
        response.region,
        response.current_account,
        caller.name,
        functools.partial(stored_arn, response),
        lambda name: ssm.region_of(response).document_arn(name),
    )
    authorize(caller, action, resource(members(response), scope), context(response))
    response.sandbox_notes.append("allowed")
