"""What is added to moto: the operations that it lacks, and the check before every restricted one.

The methods are put into moto's own response classes, so that one endpoint serves all.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.iam.responses import IamResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from ssmgate.sandbox.enforcement import RESOURCES, Where, authorize
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.operations import iam, ssm, sts
from ssmgate.sandbox.operations.request import Signer, context, members, stored_arn
from ssmgate.sandbox.sessions import Sessions

Method = Callable[[Any], Any]

# moto's class -> its operations that are new, or stand in the place of moto's own.
_ADDED: Mapping[type, Mapping[str, Method]] = {
    IamResponse: {
        "simulate_principal_policy": iam.simulate_principal_policy,
        "simulate_custom_policy": iam.simulate_custom_policy,
        "get_context_keys_for_principal_policy": iam.get_context_keys_for_principal_policy,
        "get_context_keys_for_custom_policy": iam.get_context_keys_for_custom_policy,
        "put_user_permissions_boundary": iam.put_user_permissions_boundary,
        "delete_user_permissions_boundary": iam.delete_user_permissions_boundary,
    },
    SimpleSystemManagerResponse: {
        "start_session": ssm.start_session,
        "terminate_session": ssm.terminate_session,
        "describe_sessions": ssm.describe_sessions,
        "describe_instance_information": ssm.describe_instance_information,
    },
}

# moto's class -> its operations that are moto's own with something before or after.
_WRAPPED: Mapping[type, Mapping[str, Callable[[Method], Method]]] = {
    IamResponse: {"create_user": iam.with_boundary},
    TokenResponse: {
        "assume_role": sts.of_a_role,
        "assume_role_with_web_identity": sts.of_a_role,
        "get_session_token": sts.of_the_user,
        "get_caller_identity": sts.of_the_signer,
    },
}

# They are in moto, and with them credentials that nobody restricts.
_NOT_OFFERED = ("GetFederationToken", "AssumeRoleWithSAML")

# They ask for several resources and authorize by themselves.
_AUTHORIZE_THEMSELVES = ("ssm:StartSession", "ssm:TerminateSession")


class _Answer(ServiceException):  # type: ignore[misc]
    """A fault as moto serialises it."""


def install(sessions: Sessions, log: Callable[[str], None]) -> None:
    """Extend moto's response classes in this process, once. `log` gets a line for each request."""
    for response, methods in _ADDED.items():
        for name, method in methods.items():
            setattr(response, name, method)
    for response, wrappers in _WRAPPED.items():
        for name, wrapper in wrappers.items():
            setattr(response, name, wrapper(getattr(response, name)))
    SimpleSystemManagerResponse.sandbox_sessions = sessions
    # AccessDenied and its like are in no service's model, as in AWS's own.
    warnings.filterwarnings("ignore", message=r"Exception\(_Answer\)")
    BaseResponse.call_action = _checked(BaseResponse.call_action, log)


def _checked(call_action: Any, log: Callable[[str], None]) -> Any:
    @functools.wraps(call_action)
    def checked(self: Any) -> Any:
        action = f"{self.service_name}:{self._get_action()}"
        who = Signer(self)
        self.sandbox_notes = []
        try:
            if isinstance(self, SimpleSystemManagerResponse):
                ssm.put_aws_documents(self.ssm_backend)
            _check(self, action, who)
            status, headers, body = call_action(self)
            if int(status) >= 400:
                self.sandbox_notes.append(f"error {status}")
        except ServiceFault as fault:
            self.sandbox_notes.append(f"{fault.code}: {fault.message}")
            status, headers, body = self.serialized(
                ActionResult(_Answer(fault.code, fault.message))
            )
            headers, body = self._enrich_response(headers, body)
            status = fault.status
            headers["status"] = str(status)
        except Exception as error:
            log(f"{who.name} {action} {type(error).__name__}: {error}")
            raise
        log(f"{who.name} {action} {'; '.join(self.sandbox_notes)}")
        return status, headers, body

    return checked


def _check(response: Any, action: str, who: Signer) -> None:
    if action.partition(":")[2] in _NOT_OFFERED:
        raise ServiceFault("InvalidAction", f"{action} is not offered by the sandbox.")
    response.sandbox_signer = who
    if isinstance(who.fault, InvalidKey):
        raise who.fault.for_service(response.service_name)
    if action in _AUTHORIZE_THEMSELVES:
        return
    resource = RESOURCES.get(action)
    if resource is None:
        response.sandbox_notes.append("not restricted")
        return
    caller = who.known()
    if caller is None:
        response.sandbox_notes.append("not restricted")
        return
    where = Where(
        response.partition,
        response.region,
        response.current_account,
        caller.name,
        functools.partial(stored_arn, response),
        lambda name: ssm.region_of(response).document_arn(name),
    )
    authorize(caller, action, resource(members(response), where), context(response))
    response.sandbox_notes.append("allowed")
