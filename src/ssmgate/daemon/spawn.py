"""Start a daemon that outlives the one who starts it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping

from ssmgate.daemon import location, peer
from ssmgate.daemon.instance_lock import take_lock
from ssmgate.gate.system import private_directory
from ssmgate.gate.system.trusted_files import InsecurePermissions

_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def spawn_background_daemon(environ: Mapping[str, str]) -> None:
    """Start one in the background if none is there.

    `environ` are the caller's variables. Whatever stands in the way, nothing is said: the next
    start is as slow as this one.
    """
    with contextlib.suppress(InsecurePermissions, OSError, peer.Unproven):
        facts = peer.own_facts()
        directory = private_directory.open_directory(
            environ["HOME"], location.DIRECTORY, create=True
        )
        try:
            lock = take_lock(
                directory, location.socket_name(location.environment_fingerprint(environ, facts))
            )
        finally:
            os.close(directory)
        if lock is None:  # another one is just being started
            return
        try:
            # By way of sh, which ends at once: the plugin shall not have a child that it does not
            # know.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *words("--lock", str(lock))],
                env=variables(environ),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[lock],
                timeout=5,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pass
        finally:
            os.close(lock)


def words(*options: str) -> tuple[str, ...]:
    """The command of a daemon's process."""
    return (sys.executable, "-P", "-m", "ssmgate", "daemon", "run", "--in-place", *options)


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that a daemon may have: its surroundings', and no credentials.

    The CA bundle is only read ahead: starts with another one do that themselves.
    """
    bundles = {name: environ[name] for name in _BUNDLES if name in environ}
    return {"HOME": environ["HOME"], **bundles, **location.read_once(environ)}
