"""Send random traffic to one sandbox for minutes, and fail if it grows: `make soak-sandbox`.

    python benchmarks/soak.py [--minutes 10] [--clients 8] [--seed N]

The traffic is simulations, reads, sessions that end in all ways, users, roles and documents that
are created and deleted, temporary credentials, and requests that are refused or cannot be read.
Each 10 s a line has the memory, descriptors, threads and children of the sandbox. The first half
of the time is not judged: caches fill in it.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.channel_client import Client
from fakes.sandbox import ACCOUNT, NODE, OWNER, STOPPED, Failed, Server, serving, text

INTERVAL_SECONDS = 10
MEGABYTES_IN_TEN_MINUTES = 5.0
WARM_UP = 1 / 2
RARELY = 1 / 500
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "admin", "Ops", "SessionUser")
DOCUMENTS = ("SSM-SessionManagerRunShell", "AWS-StartSSHSession", "AWS-RunShellScript", "None")


@dataclass(frozen=True)
class Sample:
    """The state of the sandbox after `seconds`."""

    seconds: float
    megabytes: float
    descriptors: int
    threads: int
    children: int

    @classmethod
    def take(cls, pid: int, seconds: float) -> Sample:
        status = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":" in line
        )
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return cls(
            seconds,
            int(status["VmRSS"].split()[0]) / 1024,
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            int(status["Threads"]),
            len(children.read_text().split()) if children.exists() else 0,
        )

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s  {self.megabytes:6.1f} MB  {self.descriptors:3d} descriptors"
            f"  {self.threads:3d} threads  {self.children} children"
        )


class Traffic:
    """Random requests of one client. `counts` is shared by all clients."""

    def __init__(self, server: Server, name: int, seed: int, counts: Counter[str]) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._counts = counts
        self._name = f"soak-{name}"
        self._actions: list[Callable[[], object]] = [
            self._simulate, self._simulate, self._read, self._read, self._session, self._session,
            self._lost_session, self._user, self._role, self._document, self._refused,
            self._unreadable,
        ]  # fmt: skip
        # The sandbox keeps temporary credentials for as long as it runs: these few must not count.
        self._rarely = self._credentials

    def run(self, stop: threading.Event) -> None:
        """Send requests until `stop` is set."""
        while not stop.is_set():
            rare = self._random.random() < RARELY
            action = self._rarely if rare else self._random.choice(self._actions)
            try:
                action()
                self._counts[action.__name__] += 1
            except Failed as failed:
                self._counts[f"{action.__name__} {failed.code}"] += 1
            except TimeoutError:
                # A busy machine. What still hangs at the end is found by the sums of threads.
                self._counts[f"{action.__name__} timed out"] += 1

    def _who(self) -> str:
        return self._random.choice(USERS)

    def _simulate(self) -> None:
        user = f"arn:aws:iam::{ACCOUNT}:user/{self._random.choice(USERS[:7])}"
        document = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/{self._random.choice(DOCUMENTS)}"
        self._server.simulate(self._who(), user, document)

    def _read(self) -> None:
        who = self._who()
        operation = self._random.choice(
            ("DescribeSessions", "ListDocuments", "DescribeInstanceInformation", "GetDocument")
        )
        members = {
            "DescribeSessions": {"State": "Active", "MaxResults": 5},
            "GetDocument": {"Name": self._random.choice(DOCUMENTS)},
        }
        self._server.ssm(who, operation, **members.get(operation, {}))
        self._server.query("admin", "ec2", "DescribeInstances")

    def _start(self, **members: object) -> dict[str, str]:
        target = self._random.choice((NODE, NODE, NODE, STOPPED, "i-0aa"))
        started: dict[str, str] = self._server.ssm(
            self._who(), "StartSession", Target=target, **members
        )
        return started

    def _session(self) -> None:
        """Run a session to one of its ends."""
        started = self._start()
        ending = self._random.choice(("never opened", "exit", "terminate", "close"))
        if ending == "never opened":
            self._end(started)
            return
        client = Client.open(started)
        client.shake_hands()
        client.send(b"echo a-$((1 + 1))\r")
        client.until_output(b"a-2")
        if ending == "exit":
            client.send(b"exit\r")
            client.until_closed()
        elif ending == "terminate":
            self._end(started)
            client.until_closed()
        client.wire.close()

    def _lost_session(self) -> None:
        started = self._start()
        client = Client.open(started)
        client.shake_hands()
        client.wire.socket.shutdown(socket.SHUT_RDWR)
        client.wire.close()
        if self._random.random() < 0.5:
            again = self._server.ssm(OWNER, "ResumeSession", SessionId=started["SessionId"])
            resumed = Client.open(again)
            resumed.number, resumed.seen = client.number, client.seen
            self._end(started)
            resumed.until_closed()
            resumed.wire.close()

    def _end(self, started: dict[str, str]) -> None:
        self._server.ssm(OWNER, "TerminateSession", SessionId=started["SessionId"])

    def _own(self, operation: str, **members: str) -> None:
        self._server.query(OWNER, "iam", operation, **members)

    def _user(self) -> None:
        resource = f"arn:aws:ssm:*:*:document/{self._random.random()}"
        policy = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ssm:*", "Resource": resource},
        ]})  # fmt: skip
        name = {"UserName": self._name}
        self._own("CreateUser", **name)
        self._own("PutUserPolicy", **name, PolicyName="p", PolicyDocument=policy)
        answer = self._server.query(OWNER, "iam", "CreateAccessKey", **name)
        key = str(text(answer, "AccessKeyId"))
        with suppress(Failed):
            self._server.ssm(key, "StartSession", Target=NODE)
        self._own("DeleteAccessKey", **name, AccessKeyId=key)
        self._own("DeleteUserPolicy", **name, PolicyName="p")
        self._own("DeleteUser", **name)

    def _role(self) -> None:
        trust = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ]})  # fmt: skip
        self._own("CreateRole", RoleName=self._name, AssumeRolePolicyDocument=trust)
        self._own("DeleteRole", RoleName=self._name)

    def _document(self) -> None:
        content = json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream"})
        self._server.ssm(OWNER, "CreateDocument", Name=self._name, Content=content,
                         DocumentType="Session", DocumentFormat="JSON")  # fmt: skip
        with suppress(Failed):
            self._start(DocumentName=self._name)
        self._server.ssm(OWNER, "DeleteDocument", Name=self._name)

    def _credentials(self) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/Ops"
        answer = self._server.query(
            "admin", "sts", "AssumeRole", RoleArn=arn, RoleSessionName=self._name
        )
        key = str(text(answer, "AccessKeyId"))
        self._server.query(key, "sts", "GetCallerIdentity")

    def _refused(self) -> None:
        with suppress(Failed):
            self._server.ssm(self._who(), "CreateActivation", IamRole="x")
        with suppress(Failed):
            self._server.query(self._who(), "iam", "GetMFADevice", SerialNumber="x")

    def _unreadable(self) -> None:
        body = self._random.randbytes(self._random.randrange(200))
        headers = {"X-Amz-Target": "AmazonSSM.StartSession", "Authorization": "x"}
        with suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(
                urllib.request.Request(self._server.url, body, headers), timeout=30
            ).close()


def growth(samples: list[Sample]) -> float:
    """Return the slope of a line through the memory of `samples`, in MB for ten minutes."""
    times = [sample.seconds for sample in samples]
    sizes = [sample.megabytes for sample in samples]
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    above = sum((t - middle) * (s - mean) for t, s in zip(times, sizes, strict=True))
    below = sum((t - middle) ** 2 for t in times)
    return above / below * 600 if below else 0.0


def main() -> int:
    """Run the traffic. Returns 1 if the sandbox grows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1000))
    options = parser.parse_args()
    print(f"{options.clients} clients for {options.minutes:g} minutes, --seed {options.seed}")
    counts: Counter[str] = Counter()
    samples: list[Sample] = []
    stop = threading.Event()
    with serving() as server:
        threads = [
            threading.Thread(
                target=Traffic(server, number, options.seed + number, counts).run, args=(stop,)
            )
            for number in range(options.clients)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() - began < options.minutes * 60:
                time.sleep(INTERVAL_SECONDS)
                samples.append(Sample.take(server.pid, time.monotonic() - began))
                print(samples[-1], flush=True)
                if not all(thread.is_alive() for thread in threads):
                    print("a client has failed")
                    return 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    return _judge(samples[int(len(samples) * WARM_UP) :], counts)


def _judge(samples: list[Sample], counts: Counter[str]) -> int:
    for name, count in sorted(counts.items()):
        print(f"{count:7d} {name}")
    slope = growth(samples)
    third = max(1, len(samples) // 3)
    problems = []
    if slope > MEGABYTES_IN_TEN_MINUTES:
        problems.append("memory grows")
    for name in ("descriptors", "threads", "children"):
        first, last = (
            min(getattr(sample, name) for sample in part)
            for part in (samples[:third], samples[-third:])
        )
        if last > first + 5:
            problems.append(f"{name} grow from {first} to {last}")
    print(f"{sum(counts.values())} actions; memory grows by {slope:.1f} MB in ten minutes")
    print("; ".join(problems) or "no growth")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
