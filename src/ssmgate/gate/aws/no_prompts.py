"""Prevent prompts on the terminal, in a process that starts a session for another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from botocore.credentials import ProcessProvider

from ssmgate.gate.aws.session import MfaPrompt


def prevent_prompts(instead: Callable[..., NoReturn]) -> None:
    """Make this process call `instead` where it would prompt for an MFA code.

    It is also called instead of running a credential_process, which could prompt on the terminal
    too.
    """
    MfaPrompt.ask = staticmethod(instead)  # type: ignore[method-assign]
    ProcessProvider._retrieve_credentials_using = instead
