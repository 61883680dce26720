"""Start a daemon that outlives the process that starts it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping

from ssmgate.daemon import location, peer
from ssmgate.daemon.instance_lock import socket_name, take_lock
from ssmgate.gate.system import private_directory
from ssmgate.gate.system.trusted_files import InsecurePermissions

_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def spawn_background_daemon(environ: Mapping[str, str]) -> None:
    """Start a daemon in the background if none is running.

    `environ` is the caller's environment. Errors are not reported: they only make the next start
    as slow as this one.
    """
    with contextlib.suppress(InsecurePermissions, OSError, peer.Unproven):
        facts = peer.own_facts()
        directory = private_directory.open_directory(
            environ["HOME"], location.DIRECTORY, create=True
        )
        try:
            fingerprint = location.environment_fingerprint(environ, facts)
            lock = take_lock(directory, socket_name(fingerprint, directory))
        finally:
            os.close(directory)
        if lock is None:  # another daemon is just being started
            return
        try:
            # Through sh, which ends at once: otherwise the daemon would be a child of the plugin.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *command("--lock", str(lock))],
                env=environment(environ),
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


def command(*options: str) -> tuple[str, ...]:
    """Return the command line of a daemon, whose Python has the flags of this one.

    They are in the fingerprint that the daemon has to share with its clients.
    """
    flags = ["-I"] if sys.flags.isolated else ["-P", *["-E"] * sys.flags.ignore_environment]
    flags += ["-O"] * sys.flags.optimize
    return (sys.executable, *flags, "-m", "ssmgate", "daemon", "run", "--in-place", *options)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a daemon: variables of its fingerprint, and no credentials.

    The CA bundle is only read in advance: starts with another bundle read that themselves.
    """
    bundles = {name: environ[name] for name in _BUNDLES if name in environ}
    return {"HOME": environ["HOME"], **bundles, **location.read_once(environ)}
