"""The checker: other credentials than the caller's for IAM. Loaded only if one is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ssmgate.gate.aws.clients import freeze, require_own_endpoint, require_own_endpoints
from ssmgate.gate.aws.endpoints import create_asking
from ssmgate.gate.aws.session import MfaPrompt, new_session
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.endpoints import Partition

_NOTE = "this error is about the checker, whose credentials are used for the simulation"


def resolve(
    profile: str, region: str, home: Partition | None, config: Config
) -> tuple[Any, Mapping[str, Any]]:
    """Return a session with `profile`, and its credentials. May prompt for an MFA code."""
    with _noted():
        session = new_session(MfaPrompt())
        session.set_config_variable("profile", profile)
        session.emit("session-initialized", session=session)
        require_own_endpoints(session, region, home, config)
        return session, freeze(session).for_client()


def open_iam(
    config: Config,
    session: Any,
    frozen: Mapping[str, Any],
    home: Partition | None,
    common: Mapping[str, Any],
) -> Any:
    """Return the IAM client for `frozen` credentials, or for the checker's role.

    `common` are arguments for every client.
    """
    with _noted():
        if config.checker is not None and config.checker.role_arn is not None:
            sts = create_asking(session, "sts", **common, **frozen)
            require_own_endpoint(sts, home, config)
            role = config.checker.role_arn
            assumed = sts.assume_role(RoleArn=role, RoleSessionName="ssmgate-checker")
            frozen = {
                "aws_access_key_id": assumed["Credentials"]["AccessKeyId"],
                "aws_secret_access_key": assumed["Credentials"]["SecretAccessKey"],
                "aws_session_token": assumed["Credentials"]["SessionToken"],
            }
        return create_asking(session, "iam", **common, **frozen)


@contextmanager
def _noted() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _NOTE not in getattr(error, "__notes__", ()):
            error.add_note(_NOTE)
        raise
