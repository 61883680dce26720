"""IAM's part: policy simulation, and permissions boundaries of users."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from ssmgate.policy_language import Policies
from ssmgate.sandbox import inputs, simulator
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.principals import source_of


def simulate_principal_policy(self: Any) -> Any:
    """SimulatePrincipalPolicy: `simulator.simulate` about the stored principal."""
    asked = self.params
    source = source_of(asked.get("PolicySourceArn", ""), self.current_account, self.partition)
    answer = simulator.simulate(asked, source.layers, source.context, self.current_account)
    return _simulation(self, answer)


def simulate_custom_policy(self: Any) -> Any:
    """SimulateCustomPolicy: of the request's policies alone, without a principal's layers."""
    # Recorded: so it is called while no CallerArn is given.
    nobody = {"aws:userid": "STUB_PRINCIPAL_FOR_POLICY_SIMULATOR"}
    answer = simulator.simulate(self.params, Policies(()), nobody, self.current_account)
    return _simulation(self, answer)


def _simulation(response: Any, answer: dict[str, Any]) -> Any:
    for result in answer["EvaluationResults"]:
        for entry in result.get("ResourceSpecificResults", [result]):
            decision = entry.get("EvalResourceDecision", result["EvalDecision"])
            name = entry["EvalResourceName"]
            response.sandbox_notes.append(f"{result['EvalActionName']} on {name}: {decision}")
    return ActionResult(answer)


def get_context_keys_for_principal_policy(self: Any) -> Any:
    """GetContextKeysForPrincipalPolicy: of identity-based policies, the request's among them.

    The boundary's and the organization's keys are not told.
    """
    asked = self.params
    source = source_of(asked.get("PolicySourceArn", ""), self.current_account, self.partition)
    layers = inputs.with_policies(asked, source.layers)
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def get_context_keys_for_custom_policy(self: Any) -> Any:
    """GetContextKeysForCustomPolicy: of the request's policies."""
    layers = inputs.with_policies(self.params, Policies(()))
    return ActionResult({"ContextKeyNames": simulator.context_keys(layers.identity)})


def put_user_permissions_boundary(self: Any) -> Any:
    """PutUserPermissionsBoundary. Raises NoSuchEntity for a policy or user that is not there."""
    user = self.backend.get_user(self._get_param("UserName"))
    _set_boundary(self, user, self._get_param("PermissionsBoundary"))
    return EmptyResult()


def delete_user_permissions_boundary(self: Any) -> Any:
    """DeleteUserPermissionsBoundary, also for a user who has none."""
    user = self.backend.get_user(self._get_param("UserName"))
    user.permissions_boundary_arn = user.permissions_boundary = None
    return EmptyResult()


def with_boundary(create_user: Any) -> Any:
    """CreateUser that takes PermissionsBoundary, which moto's leaves out.

    Raises NoSuchEntity for a policy that is not there, before there is a user.
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
    # moto's users have no such attribute. By these names GetUser shows them.
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
