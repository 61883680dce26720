"""Check how requests reach AWS: proxies, TLS, endpoints, and the clock."""

from __future__ import annotations

import os
import re
import shlex
import ssl
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

from ssmgate.doctor.results import Result, not_checked, ok, problem, warning
from ssmgate.gate.decision.endpoints import Endpoints, Partition, not_at_aws, shown
from ssmgate.gate.decision.reason import Reason

# AWS rejects a signature that is five minutes old, and some services one of fifteen.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
_REJECTED_SECONDS = 300
_LARGE_SKEW_SECONDS = 60


def proxies(environ: Mapping[str, str]) -> Result:
    """Check the environment variables that name proxies. No proxy is connected to."""
    found = []
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        variable = name.lower() if environ.get(name.lower()) else name  # as urllib: lower case wins
        url = environ.get(variable, "")
        if not url:
            continue
        scheme, separator, _ = url.partition("://")
        plain = shown(url)
        if separator and scheme.lower() not in ("http", "https"):
            text = f"{variable} is {plain}: the AWS CLI supports http and https proxies only"
            return problem("proxy", text, f"unset {variable}")
        if not re.fullmatch(r"(?:[a-z]+://)?(?:[^@/]*@)?(?:[\w.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?/?",
                            url, re.IGNORECASE):  # fmt: skip
            return problem("proxy", f"{variable} is not a URL: {plain}", f"unset {variable}")
        found.append(f"{variable} {plain}")
    if not found:
        return ok("proxy", "none")
    exceptions = environ.get("no_proxy") or environ.get("NO_PROXY")
    return ok("proxy", "; ".join([*found, *([f"not for {exceptions}"] if exceptions else [])]))


def tls(verify: bool | str | None, configured: object, environ: Mapping[str, str]) -> Result:
    """Check the CA bundle. `verify` is that of the options, `configured` the profile's bundle."""
    if verify is False:
        return warning(
            "TLS", "--no-verify-ssl: certificates are not verified, so a proxy can answer as AWS"
        )
    path = verify or configured or environ.get("REQUESTS_CA_BUNDLE")
    if not isinstance(path, str):
        return ok("TLS", "certificates are verified with the default CA bundle")
    variable = next(
        (name for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if environ.get(name) == path), ""
    )
    fix = f"unset {variable}" if variable else f"ls -l {shlex.quote(path)}"
    if not os.path.exists(path):
        return problem("TLS", f"the CA bundle {path} does not exist", fix)
    try:
        directory = os.path.isdir(path)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            None if directory else path, path if directory else None
        )
    except OSError as error:
        return problem("TLS", f"the CA bundle {path} cannot be read: {error.strerror}", fix)
    return ok("TLS", f"certificates are verified with {path}")


def endpoints(found: Endpoints, home: Partition | None, environ: Mapping[str, str]) -> Result:
    """Check whether AWS itself answers the access check, if the session starts at AWS."""
    if home is not None and (text := not_at_aws(found, home)):
        names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM")
        set_ = " ".join(name for name in names if environ.get(name))
        return warning("endpoints", text, f"unset {set_}" if set_ else "ssmgate check --explain")
    return ok("endpoints", ", ".join(dict.fromkeys(found.shown().values())))


def clock(dates: Sequence[tuple[float, str]]) -> Result:
    """Check the clock. `dates` are Date headers of AWS, each with this clock's time at receipt."""
    for now, header in dates:
        try:
            skew = now - parsedate_to_datetime(header).timestamp()
        except (TypeError, ValueError):
            continue
        if abs(skew) < _LARGE_SKEW_SECONDS:
            return ok("clock", f"differs from AWS by {abs(skew):.0f} s")
        direction = "ahead of" if skew > 0 else "behind"
        text = f"{abs(skew):.0f} s {direction} AWS"
        fix = "sudo timedatectl set-ntp true"
        if abs(skew) < _REJECTED_SECONDS:
            return warning("clock", text, fix)
        return problem("clock", f"{text}, which rejects the signatures", fix)
    return not_checked("clock", "STS")


def reached(
    name: str, url: str, seconds: float, why: tuple[Reason, str] | None, *, proxy: bool
) -> Result:
    """Return the result about one service: `why` it did not answer, None if it did."""
    if why is None:
        return ok(name, f"{shown(url)} answered in {1000 * seconds:.0f} ms")
    reason, text = why
    if reason is Reason.TIMED_OUT:
        _, separator, hint = text.partition("; ")
        text = f"no answer within {seconds:.0f} s{separator}{hint}"
    fix = f"curl -sv --max-time 5 -o /dev/null {shlex.quote(shown(url))}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text = "its certificate is not trusted; a proxy that inspects TLS needs its CA"
        fix = "export AWS_CA_BUNDLE=/path/to/ca.pem"
    elif proxy and reason in (Reason.TIMED_OUT, Reason.UNREACHABLE):
        fix = f"NO_PROXY='*' {fix}"
    return problem(name, f"{shown(url)}: {text}", fix)
