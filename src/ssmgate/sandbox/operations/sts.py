"""STS: credentials for principals in the sandbox only, and the caller's own identity."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from ssmgate.gate.decision.arn import account_of
from ssmgate.policy_language import PolicyError
from ssmgate.sandbox import grants, trust
from ssmgate.sandbox.enforcement import Caller, authorize
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.grants import Grant, Kind
from ssmgate.sandbox.operations.request import context
from ssmgate.sandbox.principals import role_named

_HOUR, _HALF_A_DAY = 3600, 43200

Parameters = Mapping[str, Any]


def assume_role(self: Any) -> Any:
    """Answer AssumeRole if the role's trust policy and the caller's policies allow it.

    The owner of the sandbox may assume every role. MFA codes are not verified.
    """
    caller, parameters = self.sandbox_signer.known(), self.params
    role = _role(self, caller)
    previous = None if caller is None else caller.grant
    grant = grants.requested(parameters, Kind.ROLE, previous)
    if caller is not None:
        _check_trust(caller, role, grant, _keys(self, role, grant, parameters))
    return _answer(self, role, grant)


def assume_role_with_web_identity(self: Any) -> Any:
    """Answer AssumeRoleWithWebIdentity if the role's trust policy names the token's issuer.

    The token's signature and expiry are not verified, and its issuer need not be registered.
    Raises `ServiceFault`: InvalidIdentityToken for a token that is not a JWT, AccessDenied.
    """
    parameters = self.params
    role = _role(self, None)
    claims = _claims(str(parameters.get("WebIdentityToken") or ""))
    provider = str(claims.get("iss", "")).removeprefix("https://")
    grant = grants.requested({**parameters, **_token_tags(claims)}, Kind.ROLE, None)
    keys: dict[str, str | Sequence[str]] = {
        f"{provider}:{claim}": value for claim, value in _single_values(claims).items()
    }
    keys |= _keys(self, role, grant, parameters)
    action = "sts:AssumeRoleWithWebIdentity"
    actions = [action, *(["sts:TagSession"] if grant.tags else [])]
    for each in actions:
        request = trust.request_for(each, role.arn, keys)
        if not trust.decide_federated(_trust_policy(role), provider, request):
            raise ServiceFault("AccessDenied", f"Not authorized to perform {action}", 403)
    return _answer(
        self,
        role,
        grant,
        Provider=str(claims.get("iss", "")),
        SubjectFromWebIdentityToken=str(claims.get("sub", "")),
    )


def get_session_token(self: Any) -> Any:
    """Answer GetSessionToken for the calling user.

    The owner of the sandbox gets credentials that are the owner's. MFA codes are not verified.
    """
    caller, parameters = self.sandbox_signer.known(), self.params
    grant = grants.requested(
        {name: parameters.get(name) for name in ("SerialNumber", "TokenCode")}, Kind.USER, None
    )
    return ActionResult({"Credentials": _temporary(self, caller, grant, _HALF_A_DAY)})


def get_federation_token(self: Any) -> Any:
    """Answer GetFederationToken for a user's own key, or for the owner of the sandbox.

    Raises `ServiceFault` AccessDenied unless the user's policies allow it.
    """
    caller, parameters = self.sandbox_signer.known(), self.params
    grant = grants.requested(parameters, Kind.FEDERATION, None)
    account, name = self.current_account, grant.name
    arn = f"arn:{self.partition}:sts::{account}:federated-user/{name}"
    if caller is not None:
        keys = {**context(self), **_tag_keys(grant)}
        for action in ("sts:GetFederationToken", *(["sts:TagSession"] if grant.tags else [])):
            authorize(caller, action, arn, keys)
    return ActionResult(
        {
            "Credentials": _temporary(self, caller, grant, _HALF_A_DAY),
            "FederatedUser": {"FederatedUserId": f"{account}:{name}", "Arn": arn},
            "PackedPolicySize": 6,
        }
    )


def for_signer(get_caller_identity: Any) -> Any:
    """Return GetCallerIdentity for all known callers, including temporary credentials."""

    @functools.wraps(get_caller_identity)
    def identity(self: Any) -> Any:
        caller = self.sandbox_signer.caller
        if caller is None:
            return get_caller_identity(self)
        return ActionResult(
            {"UserId": caller.user_id, "Account": self.current_account, "Arn": caller.arn}
        )

    return identity


def _role(response: Any, caller: Caller | None) -> Any:
    """Return moto's role of the request, in its own account, by its whole ARN."""
    arn = str(response.params.get("RoleArn"))
    role = None
    # Only accounts of the sandbox: moto would create any other one.
    if account_of(arn) in iam_backends:
        backend = iam_backends[account_of(arn)][response.partition]
        role = role_named(backend, arn.rpartition("/")[2])
    if role is None or role.arn != arn:
        owner = f"arn:{response.partition}:iam::{response.current_account}:root"
        raise ServiceFault(
            "AccessDenied",
            f"User: {owner if caller is None else caller.arn} is not authorized to perform:"
            f" sts:AssumeRole on resource: {arn}",
            403,
        )
    return role


def _check_trust(
    caller: Caller, role: Any, grant: Grant, keys: Mapping[str, str | Sequence[str]]
) -> None:
    """Raise unless the caller may assume the role, and pass what `grant` has.

    In the role's account, either the trust policy names the principal, or it names the account
    and the principal's own policies allow it. In another account both have to allow it.
    """
    same_account = account_of(caller.arn) == account_of(role.arn)
    actions = ["sts:AssumeRole"]
    # Inherited tags and an inherited source identity need the permission as well.
    actions += ["sts:TagSession"] if grant.tags else []
    actions += ["sts:SetSourceIdentity"] if grant.source_identity is not None else []
    for action in actions:
        # The keys of the principal override those of the request, as in `authorize`, except MFA:
        # the code is part of this request.
        principal = {key: value for key, value in caller.context.items() if key not in keys}
        request = trust.request_for(action, role.arn, {**keys, **principal})
        granted, denied = trust.decide(_trust_policy(role), caller, request)
        if denied or granted is trust.Trust.NONE:
            because = (
                "with an explicit deny in the role trust policy"
                if denied
                else f"because no role trust policy allows the {action} action"
            )
            raise ServiceFault(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: {action} {because}",
                403,
            )
        judged = trust.lifted(caller, granted) if same_account else caller
        judged = replace(judged, context=principal)
        authorize(judged, action, role.arn, keys)


def _trust_policy(role: Any) -> trust.TrustPolicy:
    try:
        return trust.parse_trust(role.assume_role_policy_document)
    except PolicyError as error:
        raise ServiceFault(
            "ServiceFailure",
            f"The sandbox cannot read the trust policy of role {role.name}: {error}",
            500,
        ) from error


def _keys(
    response: Any, role: Any, grant: Grant, parameters: Parameters
) -> dict[str, str | Sequence[str]]:
    """Return the condition keys of a request for a role.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
    """
    keys: dict[str, str | Sequence[str]] = {**context(response), **_tag_keys(grant)}
    keys["sts:RoleSessionName"] = str(parameters.get("RoleSessionName"))
    if parameters.get("ExternalId") is not None:
        keys["sts:ExternalId"] = str(parameters["ExternalId"])
    if grant.source_identity is not None:
        keys["sts:SourceIdentity"] = grant.source_identity
    if grant.mfa:
        keys["aws:MultiFactorAuthPresent"] = "true"
    for tag in role.tags or ():
        for prefix in ("aws:ResourceTag", "iam:ResourceTag"):
            keys[f"{prefix}/{tag['Key']}"] = tag["Value"]
    return keys


def _tag_keys(grant: Grant) -> dict[str, str | Sequence[str]]:
    keys: dict[str, str | Sequence[str]] = {
        f"aws:RequestTag/{key}": value for key, value in grant.tags.items()
    }
    keys["aws:TagKeys"] = list(grant.tags)
    keys["sts:TransitiveTagKeys"] = [k for k in grant.tags if k.lower() in grant.transitive]
    return keys


def _answer(response: Any, role: Any, grant: Grant, **more: str) -> Any:
    parameters = response.params
    seconds = int(parameters.get("DurationSeconds") or _HOUR)
    if seconds > int(role.max_session_duration or _HOUR):
        raise ServiceFault(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    assumed = response.backend.assume_role(
        region_name=response.region,
        role_session_name=parameters.get("RoleSessionName"),
        role_arn=role.arn,
        policy=parameters.get("Policy"),
        duration=seconds,
        external_id=parameters.get("ExternalId"),
    )
    assumed.sandbox_grant = grant
    identity = {} if grant.source_identity is None else {"SourceIdentity": grant.source_identity}
    return ActionResult(
        {
            "Credentials": assumed,
            "AssumedRoleUser": {"AssumedRoleId": assumed.user_id, "Arn": assumed.arn},
            "PackedPolicySize": 6,
            **identity,
            **more,
        }
    )


def _temporary(response: Any, caller: Caller | None, grant: Grant, seconds: int) -> dict[str, Any]:
    """Create an access key of the calling user with `grant`, and return its Credentials."""
    backend = iam_backends[response.current_account][response.partition]
    key = backend.create_temp_access_key()
    key.user_name = None if caller is None else caller.name
    key.sandbox_grant = grant
    seconds = int(response.params.get("DurationSeconds") or seconds)
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": "sandbox-session-token",
        "Expiration": datetime.now(UTC) + timedelta(seconds=seconds),
    }


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, without verifying it."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as error:
        raise ServiceFault(
            "InvalidIdentityToken", "The ID Token provided is not a valid JWT."
        ) from error
    return claims if isinstance(claims, dict) else {}


def _single_values(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims with one string, also in a list."""
    found = {}
    for claim, value in claims.items():
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(single, str):
            found[claim] = single
    return found


def _token_tags(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return Tags and TransitiveTagKeys, as in AssumeRole, of a web identity token.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    tagged = claims.get("https://aws.amazon.com/tags")
    if not isinstance(tagged, dict):
        return {"Tags": (), "TransitiveTagKeys": ()}
    tags = _single_values(tagged.get("principal_tags") or {})
    return {
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "TransitiveTagKeys": tagged.get("transitive_tag_keys") or (),
    }
