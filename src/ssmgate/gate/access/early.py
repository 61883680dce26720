"""Open the first connection of a start while most of the program is still to be loaded.

STS can be called only after two round trips; loading the command line's parser takes as long as
one of them. The connection is guessed from the few options that most command lines have. The guess
decides nothing: nothing is sent, and STS's client, made from what the CLI's parser has read, uses
the connection only if it would open the same one.
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
    """Open the connection to STS that a start of `argv`, the arguments after `aws`, would need.

    Nothing is opened for a command line with any other option, if the decision may be cached, or
    to a local stub of AWS, which has no TLS. If the system's configuration locks keys, nothing is
    opened to a host that is not AWS's own: it may not be allowed.
    Raises nothing: an error is reported when the connection is used.
    """
    with contextlib.suppress(Exception):
        options = _usual_options(argv)
        if options is None or _is_stub(environ) or _may_be_cached(environ):
            return
        session = bare_session()
        if profile := options.get("--profile"):
            session.set_config_variable("profile", profile)
        region = options.get("--region") or session.get_config_variable("region")
        if region is not None:
            # Not real credentials: resolving those may prompt the user.
            unsigned = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}
            sts = create_asking(session, "sts", region, config=CHECK, **unsigned)
            home = partition_of(session, region)
            own = home is not None and is_own(url_of(sts), "sts", home)
            if own or not load.load(environ).locked:
                preconnect_before_clients(sts)


def _is_stub(environ: Mapping[str, str]) -> bool:
    url = environ.get("AWS_ENDPOINT_URL_STS") or environ.get("AWS_ENDPOINT_URL", "")
    return url.startswith("http://")


def _may_be_cached(environ: Mapping[str, str]) -> bool:
    age = store.youngest(environ.get("HOME", ""))
    return age is not None and age < load.load(environ).cache_ttl


def _usual_options(argv: list[str]) -> dict[str, str] | None:
    """Return the options of a start that has only usual ones, None for any other command line."""
    if "help" in argv or not {"ssm", "start-session"} <= set(argv):
        return None
    options = {}
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in _USUAL:
            options[name] = value if equals else following
        elif word.startswith("-"):
            return None
    return options if "--target" in options else None
