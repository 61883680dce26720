"""Obey the preferences of a session: times, the user of the node, and logs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from ssmgate.sandbox.agent.channel import Limits
from ssmgate.sandbox.agent.plan import WorkError
from ssmgate.sandbox.agent.work import Work
from ssmgate.sandbox.channel.payloads import Size
from ssmgate.sandbox.preferences import Preferences

_MINUTE = 60.0


def limits(preferences: Preferences) -> Limits:
    """Return the times of a session in seconds."""
    longest = preferences.max_session_duration
    total = int(longest) * _MINUTE if longest else float("inf")
    return Limits(preferences.idle_minutes * _MINUTE, total)


def run_as(preferences: Preferences, tagged: str) -> pwd.struct_passwd | None:
    """Return the user of the node who runs the session; None for the user of this process.

    `tagged` is the value of the caller's tag SSMSessionRunAs, which comes before the default
    user. The node's own user is not a fallback. The first two messages are SSM Agent's
    (agent/session/shell in https://github.com/aws/amazon-ssm-agent).
    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html

    Raises `WorkError` if there is no such user, or the user must or can not be used.
    """
    if not preferences.run_as_enabled:
        return None
    name = tagged or preferences.run_as_default_user
    if not name:
        raise WorkError("please set the RunAs default user")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise WorkError(f"failed to start pty since RunAs user {name} does not exist") from None
    if user.pw_uid == 0:
        raise WorkError(f"RunAs user {name} is not supported by Session Manager")
    if os.getuid() not in (0, user.pw_uid):
        raise WorkError(f"RunAs user {name} needs a sandbox that root has started")
    return user


def log_files(preferences: Preferences, session_id: str) -> list[str]:
    """Return the paths of the session's logs, relative to the directory for logs."""
    names = []
    if preferences.s3_bucket:
        names.append(("s3", preferences.s3_bucket, *preferences.s3_prefix.split("/")))
    if preferences.log_group:
        names.append(("cloudwatch", *preferences.log_group.split("/")))
    return [
        # A name from a document must not lead out of the directory.
        "/".join([*(part for part in parts if part not in ("", ".", "..")), f"{session_id}.log"])
        for parts in names
    ]


class Logged:
    """Work whose output is also written to files."""

    def __init__(self, work: Work, files: Sequence[Path]) -> None:
        """Create the files and their directories. Raises `WorkError`."""
        self._work = work
        self._files: list[FileIO] = []
        try:
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._files.append(FileIO(file, "w"))
        except OSError as error:
            self._close()
            raise _unwritten(error) from error

    async def read(self) -> bytes:
        """Return the next output after it was logged. Raises `WorkError`."""
        data = await self._work.read()
        try:
            for file in self._files:
                file.write(data)
        except OSError as error:
            raise _unwritten(error) from error
        return data

    async def write(self, data: bytes) -> None:
        """Write input, which is not logged."""
        await self._work.write(data)

    def resize(self, size: Size) -> None:
        """Resize the work's terminal."""
        self._work.resize(size)

    async def disconnect(self) -> None:
        """Tell the work that the client's local connection has ended."""
        await self._work.disconnect()

    async def end(self) -> None:
        """End the work, and close the files."""
        await self._work.end()
        self._close()

    def _close(self) -> None:
        for file in self._files:
            file.close()


def _unwritten(error: OSError) -> WorkError:
    return WorkError(f"the session log {error.filename or ''} cannot be written: {error.strerror}")
