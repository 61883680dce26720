"""Make botocore sessions that read configuration as AWS CLI v2 does, and load no user code."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import awscli
import botocore.session
from awscli.customizations.assumerole import CACHE_DIR
from botocore.configprovider import (
    ChainProvider,
    EnvironmentProvider,
    InstanceVarProvider,
    ScopedConfigProvider,
)
from botocore.exceptions import ProfileNotFound
from botocore.handlers import (
    BUILTIN_HANDLERS,
    REGISTER_FIRST,
    REGISTER_LAST,
)
from botocore.utils import IMDSRegionProvider, JSONFileCache

from ssmgate import __version__
from ssmgate.gate.aws.service_models import CALLED, AwscliModels
from ssmgate.gate.decision import printable

# botocore's session variables: name -> (profile key, environment variables, default, conversion).
_VARIABLES = {
    **awscli.EnvironmentVariables,
    "profile": (None, ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"], None, None),
    # v2 has no such setting: it would choose another model than the one that was checked.
    "api_versions": (None, None, {}, None),
    # v2 lacks these two as well: an invalid value, which v2 ignores, would end a start.
    "sts_regional_endpoints": (None, None, "regional", None),
    "defaults_mode": (None, None, "legacy", None),
    # As in v2: three attempts.
    "retry_mode": ("retry_mode", "AWS_RETRY_MODE", "standard", None),
}


# The services for which clients are made, by botocore's ids: the last three are for credential
# providers.
_SERVICES = ("ec2", "iam", "ssm", "sts", "sso", "sso-oidc", "signin")


class MfaPrompt:
    """Prompts for an MFA code; `done` is true afterwards.

    It reads stdin only if `reads_stdin` is set: under ProxyCommand, stdin belongs to ssh.
    """

    def __init__(self) -> None:
        self.done = self.reads_stdin = False

    def ask(self, prompt: str) -> str:
        """Return the code. Raises as `mfa.ask`."""
        from ssmgate.gate.aws import mfa

        return mfa.ask(prompt, stdin=self.reads_stdin)

    def __call__(self, prompt: str) -> str:
        code = self.ask(printable.line(prompt))
        self.done = True
        return code


class _Cache(JSONFileCache):
    """The CLI's cache, without its error if nothing can be written: HOME may be read-only."""

    def __setitem__(self, cache_key: str, value: Any) -> None:
        with contextlib.suppress(OSError):
            super().__setitem__(cache_key, value)


def new_session(mfa: MfaPrompt, called: Mapping[str, tuple[str, ...]] = CALLED) -> Any:
    """Return a botocore session that reads environment and files as AWS CLI v2 does.

    `called` has the operations that clients of a service offer; for other services they offer all.

    It loads no plugins, runs no initializers of the user, and uses only awscli's models.
    Credentials of assumed roles and of IAM Identity Center are cached where the CLI caches them,
    otherwise every start would prompt for MFA.
    """
    session = bare_session(called, IMDSRegionProvider)
    _register_handlers(session)
    session.user_agent_name = "aws-cli"
    session.user_agent_version = awscli.__version__
    session.user_agent_extra = f"ssmgate/{__version__}"
    session.register("before-call", _begin_call)
    session.register("after-call", end_wait)
    session.register("after-call-error", end_wait)
    session.register("session-initialized", lambda **_: _prepare_credentials(session, mfa))
    return session


def begin_wait(what: str) -> None:
    """Show at a terminal that this process waits for `what`, once that takes longer."""
    if os.isatty(2):
        from ssmgate.gate import waiting

        waiting.begin(what)


def end_wait(**_: Any) -> None:
    """End the wait, and erase what was shown."""
    if os.isatty(2):
        from ssmgate.gate import waiting

        waiting.end()


def _begin_call(model: Any, params: Mapping[str, Any], **_: Any) -> None:
    begin_wait(f"{model.name} from {urlsplit(params['url']).hostname}")


def bare_session(
    called: Mapping[str, tuple[str, ...]] = CALLED, *last_resorts: Callable[[Any], Any]
) -> Any:
    """Return a session that only knows the endpoints of clients; it has no handlers for requests.

    `last_resorts` make providers of a region for when no environment variable or profile sets it.
    """
    session = botocore.session.Session(_VARIABLES, include_builtin_handlers=False)
    session.register_component("data_loader", AwscliModels(called))
    session.get_component("config_store").set_config_provider(
        "region",
        ChainProvider(
            [
                InstanceVarProvider("region", session),
                EnvironmentProvider("AWS_REGION", os.environ),
                EnvironmentProvider("AWS_DEFAULT_REGION", os.environ),
                ScopedConfigProvider("region", session),
                *(make(session) for make in last_resorts),
            ]
        ),
    )
    return session


def _register_handlers(session: Any) -> None:
    """Register botocore's own handlers, without those of other services and of documentation.

    The name of an event has its kind, then the service: `before-call.s3.DeleteObjects`.
    Translating the names and inspecting the handlers would take a tenth of a start's time.
    """
    events = session.get_component("event_emitter")
    # No event that is used here was renamed; each would be compared with all 290 old names.
    events._event_aliases = {}
    register = {
        REGISTER_FIRST: events.register_first,
        REGISTER_LAST: events.register_last,
        None: events.register,
    }
    for event_name, handler, *place in BUILTIN_HANDLERS:
        what, _, about = event_name.partition(".")
        if what != "docs" and about.partition(".")[0] in ("", "*", *_SERVICES):
            register[place[0] if place else None](event_name, handler)


def _prepare_credentials(session: Any, mfa: MfaPrompt) -> None:
    try:
        chain = session.get_component("credential_provider")
    except ProfileNotFound:
        return  # reported when the profile is used: help does not use it
    for name in ("assume-role", "assume-role-with-web-identity", "sso"):
        provider = chain.get_provider(name)
        provider.cache = _Cache(CACHE_DIR)
    chain.get_provider("assume-role")._prompter = mfa
