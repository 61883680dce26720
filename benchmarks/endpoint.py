"""The environment of the benchmarks: a scripted AWS in its own process, and one user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TARGET = "i-02573cafcfEXAMPLE"
AWS = str(BIN / "aws")
SHIM = str(ROOT / "bin" / "aws")
START = ("ssm", "start-session", "--target", TARGET)
BARE = [AWS, *START]
CHECKED = [str(BIN / "ssm-start-session"), "--target", TARGET]

_PLUGIN = """#!/bin/sh
# A plugin that costs nothing. Both sides ask for its version, then become it.
[ "$1" = --version ] && echo 1.2.804.0 && exit
[ -n "$HOLD" ] || exit 0
echo $$ > "$HOLD"
exec sleep 60
"""


@dataclass
class Endpoint:
    """A user's environment, the `directory` with the home directory, and the scripted AWS."""

    environ: dict[str, str]
    directory: Path
    _server: subprocess.Popen[str] = field(repr=False)

    def calls(self) -> dict[str, int]:
        """Return the number of calls of each operation since the last time."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write("\n")
        self._server.stdin.flush()
        calls: dict[str, int] = json.loads(self._server.stdout.readline())
        return calls

    def clear_cache(self) -> None:
        """Delete the cached decisions."""
        home = self.directory / "home"
        shutil.rmtree(home / ".cache" / "ssmgate" / "answers", ignore_errors=True)


@contextmanager
def endpoint(round_trip: float | None = None) -> Iterator[Endpoint]:
    """Run a scripted AWS on loopback over HTTP, or over TLS with a latency of `round_trip` seconds.

    The CA of the TLS server is in a bundle with all public CAs, because reading it takes time.
    The connection, each flight of TLS and the answer take one round trip each.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "home").mkdir()
        (directory / "bin").mkdir()
        plugin = directory / "bin" / "session-manager-plugin"
        plugin.write_text(_PLUGIN)
        plugin.chmod(0o755)
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "far.py"), name, str(round_trip)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout
        environ = {
            "PATH": f"{directory / 'bin'}:{BIN}:/usr/bin:/bin",
            "HOME": str(directory / "home"),
            "AWS_ENDPOINT_URL": server.stdout.readline().strip(),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
        }
        if round_trip is not None:
            environ["AWS_CA_BUNDLE"] = str(directory / "bundle.pem")
        try:
            yield Endpoint(environ, directory, server)
        finally:
            server.kill()
            server.communicate()


def versions() -> str:
    """Return the versions that are compared, for the report."""
    output = subprocess.run([AWS, "--version"], capture_output=True, text=True, check=True).stdout
    cli, python, *_ = output.replace("/", " ").split()[1::2]
    return f"Python {python}, awscli {cli} on both sides, {os.cpu_count()} cores"
