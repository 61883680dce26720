"""Find the next step after a failed call, from what is known about the failure.

Loaded only after an error. No hint is given for a failure whose cause is not known.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.utils import should_bypass_proxies

from ssmgate.gate.aws.service_models import AwscliModels

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_ENDPOINTS = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL")
_NODE = re.compile(r"m?i-[0-9a-f]{8,}|ecs:.+|[a-z-]+:.+")
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SKEWED = ("RequestTimeTooSkewed", "RequestInTheFuture", "SignatureDoesNotMatch", "RequestExpired")
_FRESH = "get fresh credentials, for example with 'aws sso login' or 'aws login'"
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
        case SSOError() | SSOTokenLoadError() | UnauthorizedSSOTokenError() | TokenRetrievalError():
            return (_sso_login(profile),)
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


def _sso_login(profile: str | None) -> str:
    return shlex.join(["aws", "sso", "login", *(["--profile", profile] if profile else [])])


def about_target(error_code: str, target: str) -> tuple[str, ...]:
    """Return a hint if StartSession failed and `target` is not the ID of a node."""
    if error_code not in ("TargetNotConnected", "ValidationException") or _NODE.fullmatch(target):
        return ()
    name = shlex.quote(f"Name=tag:Name,Values={target}")
    return (
        f"{target} is not the ID of a node; if it is an instance's name: aws ec2 describe-instances"
        f" --filters {name} --query 'Reservations[].Instances[].InstanceId' --output text",
    )


def about_option(message: str) -> tuple[str, ...]:
    """Return a hint if an option in awscli's `message` about unknown ones is similar to one."""
    found = re.findall(r"--[\w-]+", message)
    near = difflib.get_close_matches(found[0], OPTIONS, 1, 0.7) if found else []
    return (f"did you mean {near[0]}?",) if near else ()


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
        yield (
            f"the certificate of {host or 'the endpoint'} is not trusted: if your network inspects"
            " TLS, set AWS_CA_BUNDLE to the CA certificates of your organization"
        )
    elif hint := about_region(host):
        yield hint
    elif name := next((n for n in _ENDPOINTS if _is_at(environ.get(n, ""), host)), None):
        yield f"{name} is {environ[name]}: check that it is running, or unset {name}"
    elif isinstance(error, EndpointConnectionError | ConnectTimeoutError | ReadTimeoutError):
        yield (
            f"STS and IAM have to be reachable: allow {host or 'their endpoints'}:443, set"
            " HTTPS_PROXY, or add a VPC endpoint"
        )


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
        return f"there is no region {region}: did you mean --region {near[0]}?"
    return f"this AWS CLI does not know a region {region}: check its spelling"


def _after_answer(error: ClientError, profile: str | None) -> Iterator[str]:
    details = error.response.get("Error", {})
    code, message = str(details.get("Code")), str(details.get("Message"))
    if code in _SKEWED and re.search(r"signature (not yet current|expired)|skew", message, re.I):
        yield "the clock of this machine is wrong: set it, for example with 'chronyc makestep'"
    elif code == "SignatureDoesNotMatch":
        yield "the secret access key does not belong to the access key: 'aws configure list'"
    elif code in ("InvalidGrantException", "UnauthorizedException"):  # IAM Identity Center's
        yield _sso_login(profile)
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


def _is_at(url: str, host: str) -> bool:
    return bool(host) and urlsplit(url).hostname == host
