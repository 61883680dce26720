"""Read the users, roles and policies of the caller's account, and simulate their policies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.aws import errors, simulate
from ssmgate.gate.aws.asking_session import RETRIED, leave_policies_encoded
from ssmgate.gate.aws.session import MfaPrompt, new_session
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Question

_CALLED = {
    "iam": ("GetAccountAuthorizationDetails", "SimulatePrincipalPolicy"),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity"),
}
_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
_PAGE = 1000
"""How many items IAM is asked for on a page: the most that it offers."""

_MOST_PAGES = 10_000


class AccountDetails:
    """The account of the caller's credentials, of `profile` if that is not None.

    Makes only the calls of the operations above. Raises `GateError`.
    """

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        try:
            session = new_session(MfaPrompt(), called=_CALLED)
            if profile is not None:
                session.set_config_variable("profile", profile)
            session.emit("session-initialized", session=session)
            self.region: str | None = session.get_config_variable("region")
            self._iam = session.create_client("iam", region_name=self.region, config=RETRIED)
        except Exception as error:
            raise errors.translate(error, profile=profile) from error
        leave_policies_encoded(self._iam)

    def read(self) -> dict[str, Any]:
        """Return all pages of iam:GetAccountAuthorizationDetails as one. Raises `GateError`.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
        """
        found: dict[str, list[Any]] = {name: [] for name in _LISTS}
        request: dict[str, Any] = {"MaxItems": _PAGE}
        try:
            for _ in range(_MOST_PAGES):
                page = self._iam.get_account_authorization_details(**request)
                for name in _LISTS:
                    found[name] += page.get(name) or ()
                if not page.get("IsTruncated"):
                    return dict(found)
                request["Marker"] = page.get("Marker") or ""
        except Exception as error:
            raise errors.translate(error, profile=self._profile) from error
        raise GateError("GetAccountAuthorizationDetails: IAM's answer has too many pages")

    def simulate(self, question: Question) -> tuple[Evaluation, ...] | Unknown:
        """Return what IAM's simulation answers to `question`, as of now."""
        return simulate.simulate(self._iam, question, datetime.now(UTC))
