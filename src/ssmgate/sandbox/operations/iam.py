"""IAM: policy simulation, and permissions boundaries of users."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from ssmgate.policy_language import Policies
from ssmgate.sandbox import inputs, simulator
from ssmgate.sandbox.exclusions import exclusions
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.principals import source_of


def simulate_principal_policy(self: Any) -> Any:
    """Answer SimulatePrincipalPolicy with `simulator.simulate` for the stored principal."""
    parameters = self.params
    source = source_of(
        parameters.get("PolicySourceArn", ""),
        self.current_account,
        self.partition,
        exclusions(parameters),
    )
    answer = simulator.simulate(parameters, source.layers, source.context, self.current_account)
    return _simulation(self, answer)


def simulate_custom_policy(self: Any) -> Any:
    """Answer SimulateCustomPolicy with the request's policies only, without a principal's."""
    # Recorded: the value without a CallerArn.
    default_context = {"aws:userid": "STUB_PRINCIPAL_FOR_POLICY_SIMULATOR"}
    answer = simulator.simulate(
        self.params, Policies(()), default_context, self.current_account, custom=True
    )
    return _simulation(self, answer)


def _simulation(response: Any, answer: dict[str, Any]) -> Any:
    for result in answer["EvaluationResults"]:
        for entry in result.get("ResourceSpecificResults", [result]):
            decision = entry.get("EvalResourceDecision", result["EvalDecision"])
            name = entry["EvalResourceName"]
            response.sandbox_notes.append(f"{result['EvalActionName']} on {name}: {decision}")
    return ActionResult(answer)


def get_context_keys_for_principal_policy(self: Any) -> Any:
    """Answer GetContextKeysForPrincipalPolicy for identity-based policies and the request's.

    The keys of the boundary and of service control policies are not included.
    """
    parameters = self.params
    source = source_of(parameters.get("PolicySourceArn", ""), self.current_account, self.partition)
    layers = inputs.with_policies(parameters, source.layers)
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def get_context_keys_for_custom_policy(self: Any) -> Any:
    """Answer GetContextKeysForCustomPolicy for the request's policies."""
    layers = inputs.with_policies(self.params, Policies(()))
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def put_user_permissions_boundary(self: Any) -> Any:
    """Answer PutUserPermissionsBoundary. Raises NoSuchEntity for a missing policy or user."""
    user = self.backend.get_user(self._get_param("UserName"))
    _set_boundary(self, user, self._get_param("PermissionsBoundary"))
    return EmptyResult()


def delete_user_permissions_boundary(self: Any) -> Any:
    """Answer DeleteUserPermissionsBoundary, also for a user without a boundary."""
    user = self.backend.get_user(self._get_param("UserName"))
    user.permissions_boundary_arn = user.permissions_boundary = None
    return EmptyResult()


def list_service_specific_credentials(self: Any) -> Any:
    """Answer ListServiceSpecificCredentials: the sandbox has none.

    Terraform calls it before it deletes a user. Raises NoSuchEntity for a missing user.
    """
    name = self._get_param("UserName")
    if name:
        self.backend.get_user(name)
    return ActionResult({"ServiceSpecificCredentials": []})


def with_boundary(create_user: Any) -> Any:
    """Return CreateUser with PermissionsBoundary, which moto's own ignores.

    It raises NoSuchEntity for a missing policy, before it creates the user.
    """

    @functools.wraps(create_user)
    def create(self: Any) -> Any:
        arn = self._get_param("PermissionsBoundary")
        if arn:
            _managed_policy(self, arn)
        answer = create_user(self)
        if arn:
            _set_boundary(self, self.backend.get_user(self._get_param("UserName")), arn)
        return answer

    return create


def _set_boundary(response: Any, user: Any, arn: str) -> None:
    _managed_policy(response, arn)
    # moto's users have no boundary, but its GetUser returns attributes with these names.
    user.permissions_boundary_arn = arn
    user.permissions_boundary = {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": arn,
    }


def _managed_policy(response: Any, arn: str) -> None:
    if arn not in response.backend.managed_policies:
        raise ServiceFault(
            "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404
        )
