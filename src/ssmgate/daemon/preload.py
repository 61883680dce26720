"""Load what a daemon holds for its workers: modules, models, and values that they compute once."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import ssmgate
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.parse import Driver, Invocation
from ssmgate.gate.aws import late
from ssmgate.gate.aws.held_tls import hold_tls
from ssmgate.gate.system.file_state import file_state

_STUB_ENVIRONMENT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_ACCESS_KEY_ID": "dummy",
    "AWS_SECRET_ACCESS_KEY": "dummy",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Every start with cached credentials of a role or of IAM Identity Center reads times.
_NEEDED_OFTEN = ("dateutil.parser", "dateutil.tz")

_LINE = ["ssm", "start-session", "--target", "i-0", "--parameters", "a=b"]


def everything() -> Driver:
    """Load everything, and return a driver that has read nothing.

    The user's files and environment variables are not read, and no service is called. A sample
    command line is parsed, and requests are made but not sent: that compiles regular expressions
    and inspects handlers, which every start would do again.
    """
    before = dict(os.environ)
    try:
        os.environ.update(_STUB_ENVIRONMENT)
        with contextlib.suppress(Exception):
            for name in _NEEDED_OFTEN:
                late.load(name)
            invocation = parse.read(_LINE)
            if isinstance(invocation, Invocation):
                _make_requests(invocation.session)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Driver()


def _make_requests(session: Any) -> None:
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
    """Return the files of the loaded program with their states, which differ in another release."""
    own = os.path.dirname(ssmgate.__file__)
    files = {
        module.__file__
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "ssmgate" and module.__file__
    }
    files |= {os.path.join(own, "gate", "aws", "service_models.json"), os.path.dirname(own)}
    for name in ("awscli", "botocore", "urllib3"):
        if path := getattr(sys.modules.get(name), "__file__", None):
            # Next to it are the directories that installers name after the release.
            files |= {path, os.path.dirname(os.path.dirname(path))}
    return [(path, file_state(path)) for path in sorted(files)]
