"""Each failure has the one hint that follows from what is known about it."""

from __future__ import annotations

from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.gate.aws import errors, hints

STS, IAM = "https://sts.us-east-1.amazonaws.com/", "https://iam.amazonaws.com/"
PROXY = {"HTTPS_PROXY": "http://proxy.example.com:3128"}
REACHABLE = "STS and IAM have to be reachable: allow {}:443, set HTTPS_PROXY, or add a VPC endpoint"
UNTRUSTED = "the certificate of sts.us-east-1.amazonaws.com is not trusted"
FRESH = "get fresh credentials"
KEY = "the access key was deleted or deactivated"
CLOCK = "the clock of this machine is wrong"
NOT_A_NODE = "is not the ID of a node"


def error(name: str, **members: Any) -> Exception:
    from botocore import exceptions

    return getattr(exceptions, name)(**{"error": "it failed", **members})  # type: ignore[no-any-return]


def unreachable(url: str, cause: object = "it failed") -> Exception:
    return error("EndpointConnectionError", endpoint_url=url, error=cause)


def answer(code: str, message: str = "no", operation: str = "GetCallerIdentity") -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def regional(region: str, suffix: str = "amazonaws.com") -> Exception:
    return unreachable(f"https://sts.{region}.{suffix}/")


ROWS: dict[str, tuple[Any, dict[str, str], str]] = {
    "IAM in a private network": (
        lambda: error("ConnectTimeoutError", endpoint_url=IAM), {},
        REACHABLE.format("iam.amazonaws.com")),
    "STS in a private network": (lambda: unreachable(STS), {}, "allow sts.us-east-1.amazonaws.com"),
    "STS does not answer": (
        lambda: error("ReadTimeoutError", endpoint_url=STS), {}, "allow sts.us-east-1.amazonaws"),
    "an Availability Zone": (
        lambda: regional("us-east-1a"), {},
        "us-east-1a is an Availability Zone: use --region us-east-1"),
    "an Availability Zone elsewhere": (
        lambda: regional("cn-north-1b", "amazonaws.com.cn"), {}, "use --region cn-north-1"),
    "swapped letters": (lambda: regional("us-esat-1"), {}, "did you mean --region us-east-1?"),
    "a letter too many": (
        lambda: regional("eu-cenntral-1"), {}, "did you mean --region eu-central-1?"),
    "a digit too many": (lambda: regional("ap-south-11"), {}, "did you mean --region ap-south-1?"),
    "no region at all": (
        lambda: regional("mars"), {}, "this AWS CLI does not know a region mars: check"),
    "a region with a blank": (
        lambda: error("InvalidRegionError", region_name="us east-1"), {}, "--region us-east-1?"),
    "a dead proxy": (
        lambda: error("ProxyConnectionError", proxy_url="http://x"), PROXY, "check HTTPS_PROXY"),
    "a dead proxy in lower case": (
        lambda: error("ProxyConnectionError", proxy_url="http://x"),
        {"https_proxy": "http://proxy"}, "check https_proxy, or"),
    "a proxy for everything": (
        lambda: error("ProxyConnectionError", proxy_url="http://x"),
        {"ALL_PROXY": "http://proxy"}, "check ALL_PROXY, or"),
    "a proxy from the configuration": (
        lambda: error("ProxyConnectionError", proxy_url="http://x"), {},
        "check the proxy of this AWS configuration"),
    "a SOCKS proxy": (
        lambda: error("ProxyConnectionError", proxy_url="http://socks5://x"),
        {"HTTPS_PROXY": "socks5://x:1080"}, "HTTPS_PROXY is a SOCKS proxy, which is not supported"),
    "a proxy that NO_PROXY leaves out": (
        lambda: unreachable(STS), PROXY | {"NO_PROXY": ".amazonaws.com"},
        "NO_PROXY lists sts.us-east-1.amazonaws.com, so HTTPS_PROXY is not used"),
    "a proxy that answers with an error": (
        lambda: unreachable(STS, OSError("Tunnel: proxy said 403")), PROXY, "check HTTPS_PROXY"),
    "an untrusted certificate": (lambda: error("SSLError", endpoint_url=STS), {}, UNTRUSTED),
    "an untrusted certificate below": (
        lambda: unreachable(STS, OSError("[SSL: CERTIFICATE_VERIFY_FAILED] x")), {}, UNTRUSTED),
    "a CA bundle that is missing": (
        lambda: unreachable(STS), {"AWS_CA_BUNDLE": "/dev/null/ca"},
        "AWS_CA_BUNDLE is /dev/null/ca, which cannot be read"),
    "another CA bundle that is missing": (
        lambda: unreachable(STS), {"REQUESTS_CA_BUNDLE": "/dev/null/ca"}, "REQUESTS_CA_BUNDLE is"),
    "a line break in the key": (
        lambda: unreachable(STS), {"AWS_ACCESS_KEY_ID": "AKIA\n"},
        "AWS_ACCESS_KEY_ID contains a line break"),
    "a line break in the token": (
        lambda: unreachable(STS), {"AWS_SESSION_TOKEN": "x\r"}, "AWS_SESSION_TOKEN contains a"),
    "a local IAM that does not run": (
        lambda: unreachable("http://127.0.0.1:9/"), {"AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:9"},
        "AWS_ENDPOINT_URL_IAM is http://127.0.0.1:9: check that it is running"),
    "a local AWS that does not run": (
        lambda: unreachable("http://localhost:4566/"),
        {"AWS_ENDPOINT_URL": "http://localhost:4566"}, "AWS_ENDPOINT_URL is http://localhost:4566"),
    "an endpoint without a scheme": (
        lambda: ValueError("Invalid endpoint: localhost:4566"), {}, "begins with https:// or http"),
    "a clock that is late": (
        lambda: answer("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2"), {},
        CLOCK),
    "a clock that is early": (
        lambda: answer("SignatureDoesNotMatch", "Signature not yet current: 2"), {}, CLOCK),
    "a wrong secret": (
        lambda: answer("SignatureDoesNotMatch", "does not match the signature you provided"), {},
        "the secret access key does not belong to the access key"),
    "a deleted key, or a region that is not enabled": (
        lambda: answer("InvalidClientTokenId", "The security token is invalid"), {}, KEY),
    "a deleted key, for Systems Manager": (
        lambda: answer("UnrecognizedClientException"), {}, KEY),
    "a deleted key, for EC2": (lambda: answer("AuthFailure"), {}, KEY),
    "an expired session": (lambda: answer("ExpiredToken"), {}, FRESH),
    "an expired session, for Systems Manager": (
        lambda: answer("ExpiredTokenException"), {}, FRESH),
    "no SSO session": (
        lambda: error("SSOTokenLoadError", error_msg="no token"), {}, "aws sso login"),
    "no SSO session of a profile": (
        lambda: error("SSOTokenLoadError", error_msg="no token"), {"AWS_PROFILE": "dev"},
        "aws sso login --profile dev"),
    "an SSO session that ended": (
        lambda: error("UnauthorizedSSOTokenError"), {"AWS_PROFILE": "my dev"},
        "aws sso login --profile 'my dev'"),
    "an SSO session that cannot be refreshed": (
        lambda: answer("InvalidGrantException", operation="CreateToken"), {}, "aws sso login"),
    "an SSO role that was taken away": (
        lambda: answer("UnauthorizedException", operation="GetRoleCredentials"), {},
        "aws sso login"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_failure_has_its_hint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, environ, hint = ROWS[name]
    for variable in (*PROXY, "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)

    (found,) = hints.after(make(), environ)
    assert hint in found


@pytest.mark.parametrize(
    "make",
    [
        lambda: answer("ThrottlingException", operation="StartSession"),
        lambda: answer("SomethingNew"),
        lambda: error("DataNotFoundError", data_path="x"),
        lambda: ValueError("some value"),
        lambda: KeyError("x"),
    ],
)
def test_failure_with_unknown_cause_has_no_hint(make: Any) -> None:
    assert hints.after(make(), {}) == ()


def test_option_overrides_profile_of_environment() -> None:
    failed = error("UnauthorizedSSOTokenError")
    assert hints.after(failed, {"AWS_PROFILE": "dev"}, profile="prod") == (
        "aws sso login --profile prod",
    )


@pytest.mark.parametrize(
    ("code", "target", "hinted"),
    [
        ("TargetNotConnected", "web-1", True),
        ("ValidationException", "my web; server", True),
        ("TargetNotConnected", "i-0123456789abcdef0", False),
        ("TargetNotConnected", "mi-0123456789abcdef0", False),
        ("TargetNotConnected", "ecs:c_t_r", False),
        ("AccessDeniedException", "web-1", False),
    ],
)
def test_name_as_target_has_hint(code: str, target: str, hinted: bool) -> None:
    translated = errors.translate(answer(code, operation="StartSession"), target=target)
    found = " ".join(translated.hints)

    assert (NOT_A_NODE in found) is hinted
    if ";" in target:
        assert "--filters 'Name=tag:Name,Values=my web; server' --query" in found


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("Unknown options: --tagret, i-1", ("did you mean --target?",)),
        ("Unknown options: --documentname=x", ("did you mean --document-name?",)),
        ("Unknown options: --xyz", ()),
        ("Unknown options: i-1", ()),
    ],
)
def test_unknown_option_has_similar_one(message: str, found: tuple[str, ...]) -> None:
    assert hints.about_option(message) == found


def test_options_are_those_of_start_session() -> None:
    import completions

    assert tuple(o.names[0] for o in completions.start_session().options) == hints.OPTIONS
