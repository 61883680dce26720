"""Load awscli's own service models and endpoint rules, cut down to what a start needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import awscli
from botocore.loaders import Loader

from ssmgate.gate.aws import AWSCLI_DIRECTORY

CUT_DOWN = os.path.join(os.path.dirname(__file__), "service_models.json")
"""The output of `ssmgate models build`; a test compares the committed one."""

_BOTOCORE_DATA = os.path.join(AWSCLI_DIRECTORY, "botocore", "data")

# The operations of a start.
CALLED = {
    "ssm": ("ListTagsForResource", "StartSession", "TerminateSession"),
    "iam": (
        "GetContextKeysForPrincipalPolicy",
        "GetGroupPolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "GetUserPolicy",
        "ListAttachedGroupPolicies",
        "ListAttachedRolePolicies",
        "ListAttachedUserPolicies",
        "ListGroupPolicies",
        "ListGroupsForUser",
        "ListRolePolicies",
        "ListUserPolicies",
        "SimulatePrincipalPolicy",
    ),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"),
}


class AwscliModels(Loader):
    """Loads awscli's own service models and endpoint rules, and no others.

    With AWS_DATA_PATH or ~/.aws/models a user could rename a member of StartSession, so that
    another document is sent than the one checked, or change the endpoints of STS and IAM.

    `called` has the operations that clients of a service offer. For those of a start the copy in
    `CUT_DOWN` is used, which has no documentation and is read in a fraction of the time, if it was
    made from the installed awscli's files. `documented`: the copy is not used.
    """

    def __init__(
        self, called: Mapping[str, tuple[str, ...]] = CALLED, *, documented: bool = False
    ) -> None:
        self._called = called
        self._cut = {} if documented or called is not CALLED else read_cut_down(awscli.__version__)
        super().__init__(
            extra_search_paths=[os.path.join(AWSCLI_DIRECTORY, "data"), _BOTOCORE_DATA],
            include_default_search_paths=False,
        )

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the directories of awscli's data. botocore would list each of some 430."""
        return os.listdir(_BOTOCORE_DATA)

    def load_data_with_path(self, name: str) -> Any:
        """Return the data, and the path of awscli's file, also if the data are the copy."""
        if name in self._cut:
            return self._cut[name], os.path.join(_BOTOCORE_DATA, name)
        return super().load_data_with_path(name)

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """Return the model for clients, without the operations that are never called."""
        if api_version is None and (cut := self._cut.get(f"{service_name}/{type_name}")):
            return cut
        model = super().load_service_model(service_name, type_name, api_version)
        if type_name != "service-2" or service_name not in self._called:
            return model
        operations = {name: model["operations"][name] for name in self._called[service_name]}
        return {**model, "operations": operations}

    def operation_names(self, service_name: str) -> list[str]:
        """Return all operations of the service's model, also those that are never called."""
        return list(super().load_service_model(service_name, "service-2")["operations"])


@cache
def read_cut_down(release: str) -> dict[str, Any]:
    """Return the copy, empty if it is not for the installed awscli, which is `release`."""
    with open(CUT_DOWN, "rb") as file:
        cut: dict[str, Any] = json.load(file)
    if cut["awscli"] != release:
        from ssmgate.gate.aws import model_files

        return cut if cut["made_from"] == model_files.digest() else {}
    return cut
