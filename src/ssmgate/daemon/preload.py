"""What a daemon holds for its starts: modules and models, and what those work out once."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import ssmgate
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.parse import Driver, Invocation
from ssmgate.gate.aws.preconnect import hold_tls
from ssmgate.gate.system.file_state import file_state

_NOBODY = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_LINE = ["ssm", "start-session", "--target", "i-0", "--parameters", "a=b"]


def everything() -> Driver:
    """Load it. The files and variables of the user's are not read, and nobody is called.

    One line is read for nobody, and requests are made up to their sending: regular expressions are
    compiled by that, and handlers inspected, which a start would do anew each time. Returns a
    driver that has read nothing.
    """
    before = dict(os.environ)
    try:
        os.environ.update(_NOBODY)
        with contextlib.suppress(Exception):
            line = parse.read(_LINE)
            if isinstance(line, Invocation):
                _ask_nobody(line.session)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Driver()


def _ask_nobody(session: Any) -> None:
    for service, method, parameters in (
        ("sts", "get_caller_identity", {}),
        ("iam", "simulate_principal_policy", {"PolicySourceArn": "a" * 20, "ActionNames": ["a:b"]}),
        ("ssm", "start_session", {"Target": "i-0"}),
    ):
        client = session.create_client(service)
        client.meta.events.register_first("before-send", _never_sent)
        if service == "ssm":
            with contextlib.suppress(Exception):  # the bundle's file may be missing
                hold_tls(client)
        with contextlib.suppress(_NeverSentError):
            getattr(client, method)(**parameters)


class _NeverSentError(Exception):
    pass


def _never_sent(**_: object) -> None:
    raise _NeverSentError


def program() -> list[tuple[str, tuple[int, ...] | None]]:
    """What the loaded program was read from. It changes when another release is installed."""
    own = os.path.dirname(ssmgate.__file__)
    files = {
        module.__file__
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "ssmgate" and module.__file__
    }
    files |= {os.path.join(own, "gate", "aws", "service_models.json"), os.path.dirname(own)}
    for name in ("awscli", "botocore", "urllib3"):
        if path := getattr(sys.modules.get(name), "__file__", None):
            # Beside it are the directories that installers name for the release.
            files |= {path, os.path.dirname(os.path.dirname(path))}
    return [(path, file_state(path)) for path in sorted(files)]
