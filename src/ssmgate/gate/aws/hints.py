"""Find the next step after a failed call, from what is known about the failure.

Loaded only after an error. No hint is given for a failure whose cause is not known.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidConfigError,
    InvalidRegionError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.session import Session
from botocore.utils import should_bypass_proxies

from ssmgate.gate.aws.service_models import AwscliModels

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_ENDPOINTS = (
    "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL",
)  # fmt: skip
_NODE = re.compile(r"m?i-[0-9a-f]{8,}|ecs:.+|[a-z-]+:.+")
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SKEWED = ("RequestTimeTooSkewed", "RequestInTheFuture", "SignatureDoesNotMatch", "RequestExpired")
_FRESH = "get fresh credentials, for example with 'aws sso login' or 'aws login'"
_CLOCK = "the clock of this machine is wrong: set it, for example with 'chronyc makestep'"
_THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests")
_INVALID = ("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure")


OPTIONS = (
    "--target", "--document-name", "--reason", "--parameters", "--cli-input-json",
    "--cli-input-yaml", "--generate-cli-skeleton", "--debug", "--endpoint-url", "--no-verify-ssl",
    "--no-paginate", "--output", "--query", "--profile", "--region", "--color", "--ca-bundle",
    "--cli-read-timeout", "--cli-connect-timeout", "--cli-binary-format", "--no-cli-pager",
    "--no-cli-auto-prompt", "--cli-error-format", "--version",
)  # fmt: skip
"""The options of `aws ssm start-session` that ssmgate accepts."""


def after(
    error: BaseException,
    environ: Mapping[str, str] = os.environ,
    *,
    profile: str | None = None,
) -> tuple[str, ...]:
    """Return the next steps after `error`, the most useful one first; empty if none is known.

    `error` is botocore's. `environ` are the environment variables that botocore read, `profile` is
    the option's value.
    """
    profile = profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    match error:
        case NoRegionError() | NoCredentialsError():
            return tuple(_mistyped_variables(environ))
        case ProfileNotFound():
            return (_known_profiles(str(error.kwargs.get("profile"))),)
        case LoginError():
            return (_with_profile("aws login", profile),)
        case CredentialRetrievalError() | PartialCredentialsError() | InvalidConfigError():
            return tuple(_after_credentials(error, profile))
        case SSOError() | SSOTokenLoadError() | UnauthorizedSSOTokenError() | TokenRetrievalError():
            return (_with_profile("aws sso login", profile),)
        case ClientError():
            return tuple(_after_answer(error, profile))
        case InvalidRegionError():
            region = str(error.kwargs.get("region_name", ""))
            return (unknown_region(region) or "",)
        case ValueError() if str(error).startswith("Invalid endpoint"):
            return ("an endpoint URL begins with https:// or http://",)
        case BotoCoreError():
            return tuple(_after_connection(error, environ))
    return ()


def _with_profile(command: str, profile: str | None) -> str:
    return f"{command} --profile {shlex.quote(profile)}" if profile else command


def _mistyped_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    for name in sorted(environ):
        near = difflib.get_close_matches(name.upper(), (*known, *_CREDENTIALS), 1, 0.8)
        if near and near[0] not in environ:
            yield f"{name} is not an environment variable of the AWS CLI: did you mean {near[0]}?"
            return


def _known_profiles(profile: str) -> str:
    profiles: list[str] = []
    with contextlib.suppress(BotoCoreError):
        profiles = Session().available_profiles
    near = difflib.get_close_matches(profile, profiles, 1, 0.7)
    if near:
        return f"did you mean --profile {shlex.quote(near[0])}?"
    return "'aws configure list-profiles' lists them"


def _after_credentials(error: BotoCoreError, profile: str | None) -> Iterator[str]:
    kwargs, text = error.kwargs, str(error)
    match error:
        case PartialCredentialsError() if kwargs["provider"] == "env":
            yield f"set {kwargs['cred_var']} too, or unset the others"
        case PartialCredentialsError():
            yield _with_profile(f"aws configure set {kwargs['cred_var']}", profile)
        case CredentialRetrievalError() if kwargs["provider"] == "custom-process":
            command = _with_profile("aws configure get credential_process", profile)
            yield f"to see why the command fails, run it by hand: {command}"
        case InvalidConfigError() if "configured to use SSO" in text:
            yield _with_profile("aws configure sso", profile)


def about_target(error_code: str, target: str) -> tuple[str, ...]:
    """Return a hint if StartSession failed because of `target`."""
    if _NODE.fullmatch(target):
        if error_code != "TargetNotConnected" or not target.startswith(("i-", "mi-")):
            return ()
        return (
            "see whether the node is online in this region: aws ssm describe-instance-information"
            f" --filters Key=InstanceIds,Values={target}",
        )
    if error_code not in ("TargetNotConnected", "ValidationException"):
        return ()
    name = shlex.quote(f"Name=tag:Name,Values={target}")
    return (
        f"{target} is not the ID of a node; if it is an instance's name: aws ec2 describe-instances"
        f" --filters {name} --query 'Reservations[].Instances[].InstanceId' --output text",
    )


def about_options(words: Iterable[str]) -> tuple[str, ...]:
    """Return a hint if one of `words` is not an option, but similar to one."""
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and not any(known.startswith(name) for known in OPTIONS):
            near = difflib.get_close_matches(name, OPTIONS, 1, 0.7)
            return (f"{name}: did you mean {near[0]}?",) if near else ()
    return ()


def _after_connection(error: BaseException, environ: Mapping[str, str]) -> Iterator[str]:
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    host = urlsplit(url).hostname or ""
    cause = " ".join(_causes(error))
    broken = next(
        (name for name in _CREDENTIALS if re.search(r"[\r\n]", environ.get(name, ""))), None
    )
    bundle = next((n for n in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if environ.get(n)), None)
    proxy = next((name for name in _PROXIES if environ.get(name)), None)
    if broken:
        yield f"{broken} contains a line break: set it again without one"
    elif (
        proxy
        and host
        and environ.get("NO_PROXY", environ.get("no_proxy"))
        and should_bypass_proxies(url)
    ):
        yield f"NO_PROXY lists {host}, so {proxy} is not used: remove it if the proxy is needed"
    elif isinstance(error, ProxyConnectionError) or (proxy and "proxy" in cause.lower()):
        yield from _after_proxy(error, environ, proxy)
    elif bundle and not os.access(environ[bundle], os.R_OK):
        yield f"{bundle} is {environ[bundle]}, which cannot be read: name a file of CA certificates"
    elif isinstance(error, SSLError) or "CERTIFICATE_VERIFY_FAILED" in cause:
        yield _after_certificate(host, cause)
    elif host.endswith(_suffixes()) and (hint := about_region(host)):
        yield hint
    elif name := next((n for n in _ENDPOINTS if _is_at(environ.get(n, ""), url)), None):
        yield f"{name} is {environ[name]}: check that it is running, or unset {name}"
    elif isinstance(error, EndpointConnectionError | ConnectTimeoutError | ReadTimeoutError):
        yield _unreachable(url, host)


def _after_certificate(host: str, cause: str) -> str:
    if "not yet valid" in cause:
        return _CLOCK
    if "has expired" in cause:
        return f"the certificate of {host} has expired, or the clock of this machine is wrong"
    return (
        f"the certificate of {host or 'the endpoint'} is not trusted: if your network inspects"
        " TLS, set AWS_CA_BUNDLE to the CA certificates of your organization"
    )


def _unreachable(url: str, host: str) -> str:
    if host and not host.endswith(_suffixes()):
        origin = "://".join(urlsplit(url)[:2])
        return (
            f"check that {origin} is running: --endpoint-url or an endpoint_url of the AWS"
            " configuration names it"
        )
    if host and re.search(r"(^|\.)ssm(-fips)?\.", host):
        who = "Systems Manager has to be reachable: "
    elif re.search(r"(^|\.)(sts|iam)(-fips)?\.|^$", host):
        who = "STS and IAM have to be reachable: "
    else:  # an endpoint that only some credentials need
        return f"allow {host}:443, or set HTTPS_PROXY"
    return f"{who}allow {host or 'their endpoints'}:443, set HTTPS_PROXY, or add a VPC endpoint"


def _suffixes() -> tuple[str, ...]:
    """Return the ends of the names of AWS's endpoints, each with a dot before it."""
    outputs = [one["outputs"] for one in AwscliModels().load_data("partitions")["partitions"]]
    return tuple(f".{one[key]}" for one in outputs for key in ("dnsSuffix", "dualStackDnsSuffix"))


def _after_proxy(
    error: BaseException, environ: Mapping[str, str], proxy: str | None
) -> Iterator[str]:
    if proxy is None:
        proxy = "the proxy of this AWS configuration"
    elif environ[proxy].lower().startswith("socks"):
        yield f"{proxy} is a SOCKS proxy, which is not supported: set it to an HTTP proxy"
        return
    yield f"check {proxy}, or list the hosts that need no proxy in NO_PROXY"


def about_region(host: str) -> str | None:
    """Return a hint if the region in the name of an AWS endpoint does not exist, else None."""
    found = re.fullmatch(
        r"(?:[a-z0-9-]+\.)?(?:sts|iam|ssm|sso|oidc|signin)(?:-fips)?\.([a-z0-9-]+)\.[a-z.]+", host
    )
    if found is None:
        return None
    return unknown_region(found[1])


def unknown_region(region: str) -> str | None:
    """Return a hint if botocore's endpoint data does not have `region`, else None."""
    data = AwscliModels().load_data("partitions")
    regions = {name for partition in data["partitions"] for name in partition["regions"]}
    if region in regions or region in ("amazonaws", "global"):
        return None
    zone = re.fullmatch(r"(.+-[0-9])[a-z]", region)
    if zone and zone[1] in regions:
        return f"{region} is an Availability Zone: use --region {zone[1]}"
    near = difflib.get_close_matches(region, sorted(regions), 3, 0.7)
    # Swapped letters are more likely than another direction.
    near.sort(key=lambda name: sorted(name) != sorted(region))
    if near:
        return f"region {region} does not exist: did you mean --region {near[0]}?"
    return f"region {region} is unknown to this AWS CLI: check the spelling"


def _after_answer(error: ClientError, profile: str | None) -> Iterator[str]:
    details = error.response.get("Error", {})
    code, message = str(details.get("Code")), str(details.get("Message"))
    if code in _SKEWED and re.search(r"signature (not yet current|expired)|skew", message, re.I):
        yield _CLOCK
    elif code == "SignatureDoesNotMatch":
        yield "the secret access key does not belong to the access key: 'aws configure list'"
    elif code in ("InvalidGrantException", "UnauthorizedException"):  # IAM Identity Center's
        yield _with_profile("aws sso login", profile)
    elif code == "ForbiddenException" and error.operation_name == "GetRoleCredentials":
        yield "sso_account_id or sso_role_name of the profile is not assigned to you"
    elif code == "AccessDenied" and message.startswith("MultiFactorAuthentication failed"):
        yield "wait for the next MFA code: each can be used once"
    elif code == "AccessDenied" and error.operation_name == "AssumeRole":
        yield (
            "the caller's policies and the role's trust policy have to allow it; if they require"
            " MFA, set mfa_serial in the profile"
        )
    elif code == "RegionDisabledException":
        yield "activate the region for STS in the account settings of IAM, or use another --region"
    elif code in _THROTTLED:
        yield "AWS allows an account few such calls a second: try again in a moment"
    elif code in ("ExpiredToken", "ExpiredTokenException"):
        yield _FRESH
    elif code in _INVALID:
        yield (
            "the access key was deleted or deactivated, belongs to another partition, or the region"
            " is not enabled for the account: 'aws configure list' shows where the key comes from"
        )


def _causes(error: BaseException | None) -> Iterator[str]:
    """Yield the messages of `error` and of the errors that it was raised from."""
    for _ in range(8):
        if error is None:
            return
        yield f"{type(error).__name__} {error}"
        cause = getattr(error, "kwargs", {}).get("error")
        error = cause if isinstance(cause, BaseException) else error.__cause__


def _is_at(url: str, other: str) -> bool:
    return bool(url) and urlsplit(url)[:2] == urlsplit(other)[:2]
