"""The clients of one start: STS and IAM for the check, SSM for the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache, partial
from typing import Any

from botocore.exceptions import NoCredentialsError, NoRegionError

from ssmgate.gate.aws.endpoints import create_asking, partition_of, url_of
from ssmgate.gate.aws.options import Options
from ssmgate.gate.aws.preconnect import (
    CHECK,
    HELD,
    preconnect_client,
    read_bundle_ahead,
    share_tls,
)
from ssmgate.gate.aws.session import begin_wait, end_wait
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.endpoints import Endpoints, Partition
from ssmgate.gate.decision.frozen import frozen

# Not real credentials, for clients that are made to see where they would send requests.
DUMMY_KEYS = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}


@frozen
class Credentials:
    """The credentials of one identity, resolved once.

    `only_here` names the kind of credentials if the plugin's own SDK, for Go in version 1,
    cannot find them: it does not support `aws login`, and cannot prompt for an MFA code. Empty for
    others. `expires_at` is in seconds of the wall clock, None if unknown.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)
    only_here: str = ""
    expires_at: float | None = None

    def for_client(self) -> dict[str, str | None]:
        """Return the credentials as arguments of botocore's `create_client`."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }

    def for_environment(self) -> dict[str, str]:
        """Return the credentials as environment variables, which every AWS SDK reads first."""
        variables = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }
        if self.session_token:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


@frozen
class Clients:
    """The clients of one identity, and where they send their requests.

    `partition` and `region` are those that StartSession goes to; `secure_transport`: whether it
    is sent over TLS. `home` is that partition in the endpoint data, None if the region belongs to
    none. `another` makes a client of another service for the same identity, by its name; `session`
    is botocore's. `asking`, a cached function, makes those of STS and IAM, and `resolve_checker`,
    also cached, the credentials of the checker's profile, which may prompt for an MFA code.
    """

    ssm: Any = field(repr=False)
    partition: str
    region: str
    home: Partition | None
    secure_transport: bool
    another: Callable[[str], Any] = field(repr=False)
    session: Any = field(repr=False)
    credentials: Credentials
    asking: Any = field(repr=False)
    resolve_checker: Any = field(repr=False)

    @property
    def sts(self) -> Any:
        """Return the caller's STS client."""
        return self.asking()[0]

    @property
    def iam(self) -> Any:
        """Return the IAM client: the checker's if one is configured."""
        return self.asking()[1]

    @property
    def endpoints(self) -> Endpoints | None:
        """Return where the clients send their requests, None until STS's and IAM's are made."""
        if not self.asking.cache_info().currsize:
            return None
        return Endpoints(url_of(self.sts), url_of(self.iam), url_of(self.ssm))


def open_clients(session: Any, options: Options, config: Config = Config()) -> Clients:  # noqa: B008
    """Return the clients for `session` and `options`; only the SSM client is made at once.

    Calls services only for the caller's credentials. When the other clients are made, services are
    called only for the checker's.

    The credentials are resolved once and frozen: a provider that rotates would give STS, IAM
    and SSM three identities. --endpoint-url is for StartSession only; signed calls to STS and
    IAM must not go there. If `config` has locked keys, each client sends to AWS's own endpoint or
    to one that `config` allows; that is checked before credentials are resolved, as that may call
    STS.

    Raises botocore's errors for a missing region or missing credentials, `ConfigurationProblem`
    for an endpoint that is not allowed.
    """
    region = options.region
    if region is None:
        region = session.get_config_variable("region")
    if region is None:  # before credentials, which may prompt for an MFA code
        raise NoRegionError
    to_ssm = {"region_name": region, "endpoint_url": options.endpoint_url}
    home = partition_of(session, region)
    if config.locked:
        require_own_endpoint(session.create_client("ssm", **to_ssm, **DUMMY_KEYS), home, config)
        require_own_endpoints(session, region, home, config)
    credentials = freeze(session)
    frozen = credentials.for_client()
    ssm = session.create_client("ssm", **to_ssm, verify=options.verify, **frozen)
    require_own_endpoint(ssm, home, config)
    if HELD:
        from ssmgate.gate.aws import held_tls

        held_tls.take_held_tls(ssm)
    read_bundle_ahead(ssm)
    region = ssm.meta.region_name
    common = {"region_name": region, "verify": options.verify, "config": CHECK}
    # Not before they are needed: the decision may be cached.
    checker = cache(partial(_resolve_checker, region, home, config))
    return Clients(
        ssm=ssm,
        partition=ssm.meta.partition,
        region=region,
        home=home,
        secure_transport=ssm.meta.endpoint_url.startswith("https://"),
        another=partial(session.create_client, **common, **frozen),
        session=session,
        credentials=credentials,
        asking=cache(partial(_open_asking, session, ssm, home, config, frozen, common, checker)),
        resolve_checker=checker,
    )


def require_own_endpoint(client: Any, home: Partition | None, config: Config) -> None:
    """Raise `ConfigurationProblem` if keys are locked and `client`'s endpoint is not allowed."""
    if config.locked:
        from ssmgate.gate.decision.allowed_endpoints import require_own

        service = client.meta.service_model.service_name
        require_own(url_of(client), service, home, config.allowed_endpoints)


def require_own_endpoints(
    session: Any, region: str, home: Partition | None, config: Config
) -> None:
    """Do the same for the clients of STS and IAM that `session` would make."""
    for service in ("sts", "iam") if config.locked else ():
        client = create_asking(session, service, region_name=region, config=CHECK, **DUMMY_KEYS)
        require_own_endpoint(client, home, config)


def _open_asking(
    session: Any,
    ssm: Any,
    home: Partition | None,
    config: Config,
    frozen: Mapping[str, Any],
    common: Mapping[str, Any],
    resolve_checker: Callable[[], tuple[Any, Mapping[str, Any]] | None],
) -> tuple[Any, Any]:
    """Return the clients of STS and IAM, and open the connections of all three in advance."""
    sts = create_asking(session, "sts", **common, **frozen)
    require_own_endpoint(sts, home, config)
    share_tls(ssm, sts)
    preconnect_client(sts, once=True)
    if config.checker is None:
        iam = create_asking(session, "iam", **common, **frozen)
    else:
        from ssmgate.gate.aws import checker

        chosen = resolve_checker() or (session, frozen)
        iam = checker.open_iam(config, *chosen, home, common)
    require_own_endpoint(iam, home, config)
    share_tls(ssm, iam)
    preconnect_client(iam, once=True)
    preconnect_client(ssm)
    return sts, iam


def freeze(session: Any) -> Credentials:
    """Return the credentials of `session`. May prompt for an MFA code."""
    begin_wait("credentials")
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    frozen = credentials.get_frozen_credentials()
    end_wait()
    # botocore would look for others if one of these were missing.
    if not frozen.access_key or not frozen.secret_key:
        raise NoCredentialsError
    only_here = ""
    if credentials.method == "login":
        only_here = "an 'aws login' session"
    elif credentials.method == "assume-role" and session.get_scoped_config().get("mfa_serial"):
        only_here = "a role that takes an MFA code"
    expiry = getattr(credentials, "_expiry_time", None)
    return Credentials(
        frozen.access_key,
        frozen.secret_key,
        frozen.token,
        only_here,
        None if expiry is None else expiry.timestamp(),
    )


def _resolve_checker(
    region: str, home: Partition | None, config: Config
) -> tuple[Any, Mapping[str, Any]] | None:
    """Return the session and the credentials of the checker's profile, None if not configured."""
    if config.checker is None or config.checker.profile is None:
        return None
    from ssmgate.gate.aws import checker

    return checker.resolve(config.checker.profile, region, home, config)
