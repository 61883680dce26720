"""Each failure has the one hint that follows from what is known about it."""

from __future__ import annotations

from pathlib import Path
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
    "an Availability Zone of another region": (
        lambda: regional("cn-north-1b", "amazonaws.com.cn"), {}, "use --region cn-north-1"),
    "swapped letters": (lambda: regional("us-esat-1"), {}, "did you mean --region us-east-1?"),
    "a letter too many": (
        lambda: regional("eu-cenntral-1"), {}, "did you mean --region eu-central-1?"),
    "a digit too many": (lambda: regional("ap-south-11"), {}, "did you mean --region ap-south-1?"),
    "no region at all": (
        lambda: regional("mars"), {}, "region mars is unknown to this AWS CLI: check"),
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
    "a local Systems Manager that does not run": (
        lambda: unreachable("http://127.0.0.1:9/"),
        {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9", "AWS_ENDPOINT_URL": "http://127.0.0.1:8"},
        "AWS_ENDPOINT_URL_SSM is http://127.0.0.1:9: check that it is running"),
    "a local AWS on another port": (
        lambda: unreachable("http://127.0.0.1:9/"), {"AWS_ENDPOINT_URL": "http://127.0.0.1:8"},
        "check that http://127.0.0.1:9 is running: --endpoint-url or an endpoint_url"),
    "an endpoint of a profile that does not run": (
        lambda: unreachable("https://iam.corp.example/x"), {},
        "check that https://iam.corp.example is running"),
    "Systems Manager in a private network": (
        lambda: unreachable("https://ssm.eu-west-1.amazonaws.com/"), {},
        "Systems Manager has to be reachable: allow ssm.eu-west-1.amazonaws.com:443"),
    "a host of IAM Identity Center": (
        lambda: unreachable("https://portal.sso.eu-west-1.amazonaws.com/"), {},
        "allow portal.sso.eu-west-1.amazonaws.com:443, or set HTTPS_PROXY"),
    "a certificate that is not yet valid": (
        lambda: error("SSLError", endpoint_url=STS,
                      error="CERTIFICATE_VERIFY_FAILED: certificate is not yet valid"), {}, CLOCK),
    "a certificate that has expired": (
        lambda: error("SSLError", endpoint_url=STS,
                      error="CERTIFICATE_VERIFY_FAILED: certificate has expired"), {},
        "the certificate of sts.us-east-1.amazonaws.com has expired, or the clock"),
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
    "a region in which STS is not activated": (
        lambda: answer("RegionDisabledException", "STS is not activated in this region"), {},
        "activate the region for STS in the account settings of IAM, or use another --region"),
    "a throttled start": (
        lambda: answer("ThrottlingException", operation="StartSession"), {},
        "try again in a moment"),
    "a wrong MFA code": (
        lambda: answer(
            "AccessDenied",
            "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
            "AssumeRole"),
        {}, "wait for the next MFA code: each can be used once"),
    "a role that may not be assumed": (
        lambda: answer("AccessDenied", "User: x is not authorized", "AssumeRole"), {},
        "set mfa_serial in the profile"),
    "a credential_process that fails": (
        lambda: error("CredentialRetrievalError", provider="custom-process", error_msg="x"),
        {"AWS_PROFILE": "dev"},
        "run it by hand: aws configure get credential_process --profile dev"),
    "half of the credentials": (
        lambda: error("PartialCredentialsError", provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        {}, "set AWS_SECRET_ACCESS_KEY too, or unset the others"),
    "half of the credentials in a file": (
        lambda: error("PartialCredentialsError", provider="shared-credentials-file",
                      cred_var="aws_secret_access_key"), {},
        "aws configure set aws_secret_access_key"),
    "a mistyped profile": (
        lambda: error("ProfileNotFound", profile="prdo"), {}, "did you mean --profile prod?"),
    "an unknown profile": (
        lambda: error("ProfileNotFound", profile="xyz"), {}, "'aws configure list-profiles'"),
    "a mistyped variable for the region": (
        lambda: error("NoRegionError"), {"AWS_REGOIN": "x"},
        "AWS_REGOIN is not an environment variable of the AWS CLI: did you mean AWS_REGION?"),
    "a mistyped variable for a key": (
        lambda: error("NoCredentialsError"), {"AWS_SECRET_KEY": "x", "AWS_ACCESS_KEY_ID": "x"},
        "did you mean AWS_SECRET_ACCESS_KEY?"),
    "an SSO profile that lacks a key": (
        lambda: error("InvalidConfigError", error_msg='The profile "dev" is configured to use SSO'
                      " but is missing required configuration: sso_region"), {"AWS_PROFILE": "dev"},
        "aws configure sso --profile dev"),
    "an SSO token that cannot be read": (
        lambda: error("TokenRetrievalError", provider="sso", error_msg="Token has expired and"
                      " refresh failed"), {"AWS_PROFILE": "dev"}, "aws sso login --profile dev"),
    "an SSO role that is not assigned": (
        lambda: answer("ForbiddenException", "No access", "GetRoleCredentials"),
        {"AWS_PROFILE": "dev"},
        "sso_account_id or sso_role_name of the profile is not assigned to you"),
    "a login session that ended": (
        lambda: error("LoginRefreshRequired"), {"AWS_PROFILE": "dev"},
        "aws login --profile dev"),
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
def test_failure_has_its_hint(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make, environ, hint = ROWS[name]
    (tmp_path / "config").write_text("[profile dev]\n[profile prod]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for variable in (*PROXY, "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)

    (found,) = hints.after(make(), environ)
    assert hint in found


@pytest.mark.parametrize(
    "make",
    [
        lambda: answer("SomethingNew"),
        lambda: error("DataNotFoundError", data_path="x"),
        lambda: ValueError("some value"),
        lambda: KeyError("x"),
    ],
)
def test_failure_with_unknown_cause_has_no_hint(make: Any) -> None:
    assert hints.after(make(), {}) == ()


def test_table_has_enough_failures() -> None:
    assert len(ROWS) >= 55


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


def test_node_that_is_not_connected_has_hint() -> None:
    translated = errors.translate(
        answer("TargetNotConnected", operation="StartSession"), target="i-0123456789abcdef0"
    )

    assert translated.hints == (
        "see whether the node is online in this region: aws ssm describe-instance-information"
        " --filters Key=InstanceIds,Values=i-0123456789abcdef0",
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--tagret", "i-1"], ("--tagret: did you mean --target?",)),
        (["--doc", "x", "--documentname=x"], ("--documentname: did you mean --document-name?",)),
        (["--xyz"], ()),
        (["i-1"], ()),
        (["--t", "i-1", "--re=x", "--cli-input-j", "{}"], ()),
    ],
)
def test_unknown_option_has_similar_one(words: list[str], found: tuple[str, ...]) -> None:
    assert hints.about_options(words) == found


def test_options_are_those_of_start_session() -> None:
    import completions

    assert tuple(o.names[0] for o in completions.start_session().options) == hints.OPTIONS
