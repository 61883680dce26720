"""The first connection of a start, opened while most of the program is still to be loaded.

Two round trips pass until STS can be asked; loading what reads the command line takes as long as
one of them. Which connection it will be is a guess from the few options that most lines have. It
is no second reading of the line: nothing is sent, and STS's client, made from what the CLI's
parser has read, takes the connection only if it would open the very same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ssmgate.gate.aws.endpoints import create_asking, partition_of, url_of
from ssmgate.gate.aws.preconnect import CHECK, preconnect_before_clients
from ssmgate.gate.aws.session import bare_session
from ssmgate.gate.cache import store
from ssmgate.gate.config import load
from ssmgate.gate.decision.endpoints import is_own

_USUAL = ("--target", "--document-name", "--parameters", "--reason", "--region", "--profile")


def connect(argv: list[str], environ: Mapping[str, str]) -> None:
    """Open the connection to STS that a start of `argv`, the words after `aws`, would need.

    Nothing is opened for a line with any other option, where an earlier start may have left an
    answer, or to a stand-in of AWS without TLS, which is near. Nor is a connection opened to a
    host that is not AWS's own where the system's configuration locks keys: it may be refused.
    Nothing fails: what is wrong is told when it is used.
    """
    with contextlib.suppress(Exception):
        said = _said(argv)
        if said is None or _is_near(environ) or _may_be_cached(environ):
            return
        session = bare_session()
        if profile := said.get("--profile"):
            session.set_config_variable("profile", profile)
        region = said.get("--region") or session.get_config_variable("region")
        if region is not None:
            # Credentials of nobody: looking for real ones may ask somebody.
            nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}
            sts = create_asking(session, "sts", region, config=CHECK, **nobody)
            home = partition_of(session, region)
            own = home is not None and is_own(url_of(sts), "sts", home)
            if own or not load.load(environ).locked:
                preconnect_before_clients(sts)


def _is_near(environ: Mapping[str, str]) -> bool:
    url = environ.get("AWS_ENDPOINT_URL_STS") or environ.get("AWS_ENDPOINT_URL", "")
    return url.startswith("http://")


def _may_be_cached(environ: Mapping[str, str]) -> bool:
    age = store.youngest(environ.get("HOME", ""))
    return age is not None and age < load.load(environ).cache_ttl


def _said(argv: list[str]) -> dict[str, str] | None:
    """What a line of a start says of the usual options, None for any other line."""
    if "help" in argv or not {"ssm", "start-session"} <= set(argv):
        return None
    said = {}
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, given, value = word.partition("=")
        if name in _USUAL:
            said[name] = value if given else following
        elif word.startswith("-"):
            return None
    return said if "--target" in said else None
