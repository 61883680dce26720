"""Confine the plugin of a login with Landlock, to what a session needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.config.load import Config
from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.plugin.find import PROGRAM, Plugin
from ssmgate.gate.start import PermittedSession, ReadySession
from ssmgate.login import interpreters, landlock

_MODULE = "ssmgate.login.confined"
_SECONDS = 10

_RUN = landlock.EXECUTE | landlock.READ_FILE
_READ = landlock.READ_FILE | landlock.READ_DIR
_USE = landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV
_SOCKETS = landlock.MAKE_SOCK | landlock.REMOVE_FILE

_LIBRARIES = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64"),
    *("/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.preload"),
)
_NAMES = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"),
    *("/etc/services", "/etc/localtime"),
)
# Where Go and OpenSSL look, and where the links there lead.
_CERTIFICATES = (
    *("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs"),
    *("/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates"),
    *("/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/pki"),
)
_DEVICES = ("/dev/null", "/dev/tty")
_RANDOM = ("/dev/urandom", "/dev/random")
# Port forwarding of several connections listens here: muxportforwarding.go of the plugin.
_TEMPORARY = "/tmp"  # noqa: S108 - not ours: the plugin makes its socket there


@frozen
class Confinement:
    """What a plugin may use: paths with rights of `landlock`. Without rules it is not confined."""

    rules: tuple[tuple[str, int], ...] = ()

    def around(self, session: ReadySession) -> ReadySession:
        """Return `session` with a program that confines itself and becomes the plugin.

        The script that restores the terminal and records the end of the session is not confined: it
        executes that program.
        """
        if not self.rules:
            return session
        plugin = session.handover
        program = self._program(plugin.path, *plugin.argv)
        return replace(session, handover=replace(plugin, path=program[0], argv=program))

    def attempt(self, plugin: Plugin, environ: Mapping[str, str]) -> None:
        """Execute the plugin's `--version`, confined. No session may start unless that works.

        Raises `ConfigurationProblem`.
        """
        try:
            done = subprocess.run(
                self._program(plugin.path, PROGRAM, "--version"),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _unfit(plugin, f"takes longer than {_SECONDS} s") from None
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
            raise _unfit(plugin, f"ends with status {done.returncode}: {said}")

    def _program(self, path: str, *argv: str) -> tuple[str, ...]:
        return (sys.executable, "-I", "-m", _MODULE, json.dumps(self.rules), path, *argv)


def _unfit(plugin: Plugin, why: str) -> ConfigurationProblem:
    return ConfigurationProblem(
        f"refused: confined by Landlock, {plugin.path} --version {why}",
        hints=("login.confine_plugin = false runs the plugin unconfined",),
    )


def confine(permitted: PermittedSession, environ: Mapping[str, str]) -> Confinement:
    """Return what confines the plugin of `permitted`, after an attempt to run it so.

    `environ` is the plugin's. There are no rules if the configuration turns them off, or if this
    kernel has no Landlock. Raises `ConfigurationProblem` if the plugin cannot run confined.
    """
    config, plugin = permitted.config, permitted.plugin
    if not config.login.confine_plugin or not landlock.version():
        return Confinement()
    made = Confinement(tuple(_rules(permitted.authorization.invocation, config, plugin, environ)))
    made.attempt(plugin, environ)
    return made


def _rules(
    invocation: Invocation, config: Config, plugin: Plugin, environ: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    """Yield what a session needs besides the network.

    That is the plugin's program, and stty, which it executes; libraries; the files that resolve
    names and verify certificates; the terminal; the person's AWS files; sockets in /tmp.
    """
    search = environ["PATH"]
    for program in (plugin.path, *_on(search, "stty")):
        for path in interpreters.executed(program, search):
            yield path, _RUN
    for path in (*_LIBRARIES, *_NAMES, *_replaced(), *_CERTIFICATES, *_RANDOM):
        yield path, _READ
    for path in _aws(config, invocation, environ):
        yield path, _READ
    for path in (*_DEVICES, *_terminals()):
        yield path, _USE
    yield _TEMPORARY, _SOCKETS


def _on(search: str, name: str) -> Iterator[str]:
    for directory in search.split(os.pathsep):
        if os.access(path := os.path.join(directory, name), os.X_OK):
            yield path


def _replaced() -> Iterator[str]:
    """Yield the directory of a resolv.conf that a service writes anew while sessions run."""
    path = os.path.realpath("/etc/resolv.conf")
    if path.startswith("/run/"):
        yield os.path.dirname(path)


def _aws(config: Config, invocation: Invocation, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the person's AWS files. If the directory of the credentials is the person's own, it is
    that: root can then replace the file in it while the session lasts.
    """
    yield environ["AWS_CONFIG_FILE"]
    credentials = environ["AWS_SHARED_CREDENTIALS_FILE"]
    directory = os.path.dirname(credentials)
    template = os.path.dirname(config.login.aws_credentials_file or "")
    yield directory if USER_PLACEHOLDER in os.path.basename(template) else credentials
    bundle = invocation.session.get_config_variable("ca_bundle")
    if isinstance(bundle, str):
        yield bundle


def _terminals() -> Iterator[str]:
    for file in (0, 1, 2):
        with suppress(OSError):
            yield os.ttyname(file)
