"""A temporary OpenSSH server on loopback, with its own key and a key for its only user."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from fakes.capabilities import with_capabilities


def program() -> str | None:
    """Return the path of sshd, which is rarely on the PATH of a user."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Sshd:
    """The server, until its block ends. `directory` is private. `more` is added to its
    configuration.
    """

    directory: Path
    port: int = 0
    more: str = ""
    _server: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Sshd:
        for name in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / name)],
                check=True,
                stdin=subprocess.DEVNULL,
            )
        shutil.copy(self.directory / "user_key.pub", self.directory / "authorized_keys")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.directory / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {self.directory}/host_key\n"
            f"AuthorizedKeysFile {self.directory}/authorized_keys\n"
            f"PidFile {self.directory}/pid\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "StrictModes no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
            "MaxStartups 100\n" + self.more
        )
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("wb") as log:
            self._server = with_capabilities(
                subprocess.Popen,
                [program() or "sshd", "-D", "-e", "-f", str(self.directory / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise RuntimeError(f"sshd does not listen: {(self.directory / 'sshd.log').read_text()}")

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.terminate()
        self._server.wait(10)

    def client_options(self) -> str:
        """Return the lines of an ssh_config for this server and hosts `i-*`, without the
        ProxyCommand.
        """
        host_key = (self.directory / "host_key.pub").read_text().split()
        (self.directory / "known_hosts").write_text(f"* {host_key[0]} {host_key[1]}\n")
        return (
            f"Host i-*\n  User {getpass.getuser()}\n  Port {self.port}\n"
            f"  IdentityFile {self.directory}/user_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.directory}/known_hosts\n  StrictHostKeyChecking yes\n"
            "  BatchMode yes\n  ConnectTimeout 30\n"
        )

    def client_config(self, proxy_command: str) -> Path:
        """Write an ssh_config whose `Host i-*` block uses `proxy_command`."""
        path = self.directory / "ssh_config"
        path.write_text(f"{self.client_options()}  ProxyCommand {proxy_command}\n")
        return path
