"""Start sessions, kill clients, workers and the daemon at random, and count the sessions left.

    PYTHONPATH=tests python tests/soak_signals.py [STARTS] [SEED]

Starts are cold, with cached answers, or made by a daemon. Each gets at most one signal, at a random
moment. A session is left if no plugin has it and nothing terminated it. Only SIGKILL may leave one,
and only of the one process that has its id. Exits 1 if another one is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.capabilities import drop_bounding_set
from fakes.scripted_aws import Received, ScriptedAws, json_ok
from ssmgate.daemon.location import DIRECTORY
from ssmgate.gate.system import takeover

AT_ONCE = 4
WAYS = ("cold", "cached", "daemon")
VICTIMS = {"cold": ["client"], "cached": ["client"], "daemon": ["client", "worker", "worker"]}
ONE_IN = 40  # starts by the daemon, during which the daemon itself is killed

# Writes the id of a session to the file EXECUTES just before this process becomes its plugin: a
# signal that arrives afterwards is for the plugin.
CLIENT = """
import json, os, sys
execve = os.execve
def noted(path, argv, environ):
    with open(os.environ["EXECUTES"], "w") as file:
        file.write(json.loads(environ["AWS_SSM_START_SESSION_RESPONSE"])["SessionId"])
    execve(path, argv, environ)
os.execve = noted
from ssmgate.__main__ import run
run(["ssm", "start-session", "--target", sys.argv[1]])
"""


@dataclass
class Start:
    """A start, and what happened to it."""

    number: int
    way: str
    victim: str
    signal: int
    at_start_session: bool  # the delay begins when StartSession arrives
    delay: float
    arrived: threading.Event = field(default_factory=threading.Event)
    killed: bool = False
    killed_at: float = 0
    answered_at: float = 0  # when the first session's id was sent
    status: int = 0

    @property
    def target(self) -> str:
        return f"i-{self.number:017x}"


class Soak:
    """The local AWS, the daemon, and all starts."""

    def __init__(self, directory: Path, aws: ScriptedAws, seed: str) -> None:
        self.directory, self.aws = directory, aws
        self.random = random.Random(seed)
        self.starts: dict[str, Start] = {}
        self.sessions: dict[str, Start] = {}
        self.daemons: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        aws.script("StartSession", self._start_session)
        plugin = directory / "bin" / "session-manager-plugin"
        plugin.parent.mkdir()
        plugin.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && { echo 1.2.804.0; exit; }\n'
            'echo > "$EXECUTES.plugin"\n'
        )
        plugin.chmod(0o755)

    def _start_session(self, handler: Any, received: Received) -> None:
        start = self.starts[received.parameters["Target"]]
        session_id = f"alice-{len(self.sessions):017x}"
        self.sessions[session_id] = start
        start.arrived.set()
        time.sleep(random.uniform(0, 0.05))
        json_ok({"SessionId": session_id, "TokenValue": "t", "StreamUrl": "wss://x"})(
            handler, received
        )
        start.answered_at = start.answered_at or time.monotonic()

    def environ(self, start: Start) -> dict[str, str]:
        return {
            "PATH": f"{self.directory}/bin:/usr/bin:/bin",
            "HOME": str(self.directory / "home"),
            "LANG": "C.UTF-8",
            "EXECUTES": str(self.here(start) / "executes"),
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret-of-example",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SSMGATE_CACHE_TTL": "60" if start.way == "cached" else "0",
            "SSMGATE_DAEMON": "on" if start.way == "daemon" else "off",
        }

    def here(self, start: Start) -> Path:
        return self.directory / str(start.number)

    def plan(self, number: int) -> Start:
        way = WAYS[number % len(WAYS)]
        victim = self.random.choice(VICTIMS[way])
        kill = self.random.random() < (0.3 if victim == "client" else 0.7)
        one = signal.SIGKILL if kill else self.random.choice(takeover.ENDING)
        if way == "daemon" and not self.random.randrange(ONE_IN):
            victim, one = "daemon", signal.SIGKILL
        at_start_session = self.random.random() < 0.6
        delay = self.random.uniform(0, 0.12 if at_start_session or way == "daemon" else 0.7)
        return Start(number, way, victim, one, at_start_session, delay)

    def run(self, start: Start) -> None:
        self.starts[start.target] = start
        self.here(start).mkdir()
        if start.way == "daemon":
            self._ensure_daemon()
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", CLIENT, start.target],
            env=self.environ(start), cwd=self.here(start), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=drop_bounding_set,
        )  # fmt: skip
        if start.at_start_session:
            start.arrived.wait(20)
        time.sleep(start.delay)
        for pid in self._victims(start, process):
            with suppress(ProcessLookupError):
                os.kill(pid, start.signal)
                start.killed, start.killed_at = True, time.monotonic()
        start.status = process.wait(120)

    def _victims(self, start: Start, client: subprocess.Popen[bytes]) -> list[int]:
        if start.victim == "client":
            return [client.pid] if client.poll() is None else []
        if start.victim == "daemon":
            return [self.daemons[-1].pid]
        return self._workers(start)

    def _workers(self, start: Start) -> list[int]:
        """Return the worker of `start`: it is in the client's working directory."""
        found = []
        for daemon in self.daemons:
            with suppress(OSError):
                text = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text()
                found += [pid for pid in map(int, text.split()) if self._is_in(pid, start)]
        return found

    def _is_in(self, pid: int, start: Start) -> bool:
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd") == str(self.here(start))
        return False

    def _ensure_daemon(self) -> None:
        with self._lock:
            if self.daemons and self.daemons[-1].poll() is None:
                return
            home = self.directory / "home"
            before = {path for path in (home / DIRECTORY).glob("*") if path.is_socket()}
            for path in before:
                path.unlink()
            self.daemons.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "ssmgate", "daemon", "run"],
                    env={"HOME": str(home), "LANG": "C.UTF-8"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    preexec_fn=drop_bounding_set,
                )
            )
            while not any(path.is_socket() for path in (home / DIRECTORY).glob("*")):
                if self.daemons[-1].poll() is not None:
                    raise RuntimeError("the daemon has ended")
                time.sleep(0.01)

    def left(self) -> Mapping[str, Start]:
        """Return the sessions that no plugin has and that nothing terminated."""
        ended = {call.parameters["SessionId"] for call in self.aws.calls("TerminateSession")}
        taken = set()
        for start in self.starts.values():
            with suppress(FileNotFoundError):
                taken.add((self.here(start) / "executes").read_text())
        return {id_: s for id_, s in self.sessions.items() if id_ not in ended | taken}

    def settle(self) -> None:
        """Wait for the workers: some terminate a session after their client has ended."""
        for daemon in self.daemons:
            daemon.terminate()
            with suppress(OSError):
                while Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().strip():
                    time.sleep(0.05)
            daemon.wait(60)
        time.sleep(2)


def main() -> int:
    """Run the program that the module's docstring describes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = sys.argv[2] if len(sys.argv) > 2 else str(time.time_ns())
    print(f"{count} starts, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name, ScriptedAws() as aws:
        directory = Path(name).resolve()
        (directory / "home").mkdir(mode=0o700)
        soak = Soak(directory, aws, seed)
        plans = [soak.plan(number) for number in range(count)]
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(soak.run, plans))
        finally:
            soak.settle()
        return report(soak, plans)


def report(soak: Soak, plans: list[Start]) -> int:
    """Print the numbers. Return the exit status."""
    signalled = Counter(f"{s.way}, {s.victim}" for s in plans if s.killed)
    left = soak.left()
    for what, number in sorted(signalled.items()):
        print(f"{number:6} signalled: {what}")
    print(f"{len(soak.sessions):6} sessions started")
    print(f"{len(soak.aws.calls('TerminateSession')):6} times terminated")
    excused = {id_: s for id_, s in left.items() if s.killed and s.signal == signal.SIGKILL}
    for what, number in Counter(f"{s.way}, {s.victim}" for s in excused.values()).items():
        print(f"{number:6} left by SIGKILL of the process that had the id: {what}")
    late = [s.killed_at - s.answered_at for s in excused.values() if s.victim == "worker"]
    if late:
        print(f"       (at most {1000 * max(late):.0f} ms after the worker's answer was sent)")
    others = {id_: s for id_, s in left.items() if id_ not in excused}
    print(f"{len(others):6} left otherwise")
    for id_, start in others.items():
        print(id_, json.dumps({k: v for k, v in vars(start).items() if k != "arrived"}))
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
