"""Find out whether ssmgate itself assumed the caller's role, without session tags.

Loaded only after a denial.
"""

from __future__ import annotations

import os
from typing import Any

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
)

# The arguments that AssumeRole is called with for a profile. None of them passes tags.
_WITHOUT_TAGS = {"RoleArn", "RoleSessionName", "ExternalId", "SerialNumber", "DurationSeconds"}

_DEFAULT_DURATION = 3600
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""


def is_untagged(session: Any) -> bool:
    """Return whether the credentials of `session`, botocore's, are a role's and carry no tags.

    That is known where botocore assumed the role for a profile with long-term keys, or with a role
    that was itself assumed so: AssumeRole passes the tags that it is given, and those that a
    session before it declared transitive. Users' own tags are not passed on.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html

    The credentials may come from the AWS CLI's cache, where one entry serves all profiles of a
    role. So they count only if no other profile names the role, and no configuration file was
    changed since the session began. Not seen is an entry that was made with other files. Makes no
    calls: of a chain whose last session is cached, the sessions before are not known.
    """
    try:
        return _is_untagged(session, session.get_credentials())
    except Exception:  # botocore's private members: whatever is not as expected is not known
        return False


def _is_untagged(session: Any, credentials: Any) -> bool:
    if type(credentials) is not DeferredRefreshableCredentials:
        return False
    refresh = credentials._refresh_using
    # Wrapped if the role takes an MFA code.
    fetcher = getattr(refresh, "_refresh", refresh).__self__
    if type(fetcher) is not AssumeRoleCredentialFetcher:
        return False
    arguments = fetcher._assume_kwargs
    if not arguments.keys() <= _WITHOUT_TAGS or not _is_only_profile(session, arguments["RoleArn"]):
        return False
    if credentials._expiry_time is None:
        return False  # a session that was not needed: beginning it could prompt for an MFA code
    duration = int(arguments.get("DurationSeconds", _DEFAULT_DURATION))
    if _last_change(session) >= credentials._expiry_time.timestamp() - duration:
        return False
    source = fetcher._source_credentials
    if type(source) is Credentials:
        return not source.token
    return _is_untagged(session, source)


def _is_only_profile(session: Any, role_arn: str) -> bool:
    profiles = session.full_config["profiles"].values()
    return [profile.get("role_arn") for profile in profiles].count(role_arn) == 1


def _last_change(session: Any) -> float:
    """Return when a configuration file was changed last, in seconds of the wall clock."""
    variables = ("config_file", "credentials_file")
    paths = [os.path.expanduser(session.get_config_variable(variable)) for variable in variables]
    return max(os.stat(path).st_mtime for path in paths if os.path.exists(path))
