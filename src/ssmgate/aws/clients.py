"""The clients of one start: STS and IAM for the check, SSM for the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import NoCredentialsError, NoRegionError

from ssmgate.aws.arguments import Invocation
from ssmgate.aws.sessions import MfaPrompt, new_session
from ssmgate.host.config import Checker

# Whatever the caller's AWS configuration says: an answer that does not come is a refusal.
_CHECK = ClientConfig(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
)


@dataclass(frozen=True, slots=True)
class Clients:
    """One identity's clients, and what they say about where the session will be.

    `iam` belongs to the checker where the configuration names one. `partition` and `region`
    are those that StartSession goes to; `secure_transport`: whether it travels over TLS.
    """

    sts: Any = field(repr=False)
    iam: Any = field(repr=False)
    ssm: Any = field(repr=False)
    partition: str
    region: str
    secure_transport: bool
    another: Callable[[str], Any] = field(repr=False)


def open_clients(invocation: Invocation, checker: Checker | None = None) -> Clients:
    """Make the clients. Calls no service beyond what credentials need.

    The credentials are resolved once and frozen: a provider that rotates would give STS, IAM
    and SSM three identities. --endpoint-url is StartSession's alone; signed calls to STS and
    IAM must not follow it. Raises botocore's errors for a missing region or missing credentials.
    """
    session, options = invocation.session, invocation.options
    region = options.region
    if region is None:
        region = session.get_config_variable("region")
    if region is None:  # before credentials, which may ask for an MFA code
        raise NoRegionError
    frozen = _freeze(session)
    ssm = session.create_client(
        "ssm",
        region_name=region,
        endpoint_url=options.endpoint_url,
        verify=options.verify,
        **frozen,
    )
    region = ssm.meta.region_name
    common = {"region_name": region, "verify": options.verify, "config": _CHECK}
    sts = session.create_client("sts", **common, **frozen)
    if checker is None:
        iam = session.create_client("iam", **common, **frozen)
    else:
        try:
            iam = _checker_iam(checker, session, frozen, common)
        except Exception as error:
            error.add_note("that was about the checker, which asks IAM instead of the caller")
            raise
    return Clients(
        sts=sts,
        iam=iam,
        ssm=ssm,
        partition=ssm.meta.partition,
        region=region,
        secure_transport=ssm.meta.endpoint_url.startswith("https://"),
        another=partial(session.create_client, **common, **frozen),
    )


def _freeze(session: Any) -> dict[str, str | None]:
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    frozen = credentials.get_frozen_credentials()
    # botocore would go and look for others if one of these were missing.
    if not frozen.access_key or not frozen.secret_key:
        raise NoCredentialsError
    return {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
    }


def _checker_iam(
    checker: Checker, session: Any, frozen: dict[str, str | None], common: dict[str, Any]
) -> Any:
    if checker.profile is not None:
        mfa = MfaPrompt()
        session = new_session(mfa)
        session.set_config_variable("profile", checker.profile)
        session.emit("session-initialized", session=session)
        frozen = _freeze(session)
    if checker.role_arn is not None:
        sts = session.create_client("sts", **common, **frozen)
        assumed = sts.assume_role(RoleArn=checker.role_arn, RoleSessionName="ssmgate-checker")
        frozen = {
            "aws_access_key_id": assumed["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": assumed["Credentials"]["SecretAccessKey"],
            "aws_session_token": assumed["Credentials"]["SessionToken"],
        }
    return session.create_client("iam", **common, **frozen)
