"""botocore sessions that read configuration as AWS CLI v2 does, and nothing that a user planted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import awscli
import botocore.session
from awscli.customizations.assumerole import CACHE_DIR
from botocore.configprovider import (
    ChainProvider,
    EnvironmentProvider,
    InstanceVarProvider,
    ScopedConfigProvider,
)
from botocore.credentials import ProcessProvider
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
from ssmgate.gate.decision.errors import ConfigurationProblem

# botocore's session variables: name -> (key in the profile, variables, default, conversion).
_VARIABLES = {
    **awscli.EnvironmentVariables,
    "profile": (None, ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"], None, None),
    # v2 has no such setting: it would choose another model than the one that was checked.
    "api_versions": (None, None, {}, None),
    # Nor these two, which would stop a session for a value that v2 does not look at.
    "sts_regional_endpoints": (None, None, "regional", None),
    "defaults_mode": (None, None, "legacy", None),
    # v2's retries: three attempts.
    "retry_mode": ("retry_mode", "AWS_RETRY_MODE", "standard", None),
}


# The services of which clients are made here, by botocore's ids: the last three are those of
# credential providers.
_SERVICES = ("ec2", "iam", "ssm", "sts", "sso", "sso-oidc", "signin")


def ask_nobody(instead: Callable[..., NoReturn]) -> None:
    """From now on, have this process call `instead` where somebody might be asked something.

    That is for an MFA code, and whenever a credential_process would be run: it has the terminal
    too. For a process that works for somebody at another one's terminal.
    """
    MfaPrompt.ask = staticmethod(instead)
    ProcessProvider._retrieve_credentials_using = instead


def _on_the_terminal(prompt: str) -> str:
    import getpass

    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise ConfigurationProblem(
            "the profile asks for an MFA code, and there is no terminal to ask on",
            hints=("run any aws command with this profile first: its credentials are cached",),
        ) from error
    return getpass.getpass(prompt)


class MfaPrompt:
    """Asks for an MFA code on the terminal, and remembers that it did.

    stdin is the session's, under ProxyCommand ssh's wire: it is never read.
    """

    ask: Callable[[str], str] = staticmethod(_on_the_terminal)

    def __init__(self) -> None:
        self.done = False

    def __call__(self, prompt: str) -> str:
        code = self.ask(printable.line(prompt))
        self.done = True
        return code


class _Cache(JSONFileCache):
    """The CLI's cache, which does without where nothing can be kept: HOME may be read-only."""

    def __setitem__(self, cache_key: str, value: Any) -> None:
        with contextlib.suppress(OSError):
            super().__setitem__(cache_key, value)


def new_session(mfa: MfaPrompt, called: Mapping[str, tuple[str, ...]] = CALLED) -> Any:
    """A botocore session with AWS CLI v2's reading of environment and files.

    `called` has the operations that clients of a service offer; of others they offer all.

    It loads no plugins, runs no initializers of a user's, and knows awscli's models alone.
    Credentials of assumed roles and of IAM Identity Center are cached where the CLI caches them,
    else MFA would be asked for at every start.
    """
    session = bare_session(called, IMDSRegionProvider)
    _register_handlers(session)
    session.user_agent_name = "aws-cli"
    session.user_agent_version = awscli.__version__
    session.user_agent_extra = f"ssmgate/{__version__}"
    session.register("session-initialized", lambda **_: _prepare_credentials(session, mfa))
    return session


def bare_session(
    called: Mapping[str, tuple[str, ...]] = CALLED, *last_resorts: Callable[[Any], Any]
) -> Any:
    """A session that only knows where clients would go: for requests it lacks the handlers.

    `last_resorts` make providers of a region where neither a variable nor a profile has one.
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
    """Register botocore's own handlers, those of other services and of documentation left out.

    An event is named for what happens, then for the service: `before-call.s3.DeleteObjects`.
    Names are translated and handlers inspected one by one, which is a tenth of a start's time.
    """
    events = session.get_component("event_emitter")
    # No event of ours has a name that was another once; each would be compared with all 290.
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
        return  # told when the profile is used: help does not use it
    for name in ("assume-role", "assume-role-with-web-identity", "sso"):
        provider = chain.get_provider(name)
        provider.cache = _Cache(CACHE_DIR)
    chain.get_provider("assume-role")._prompter = mfa
