"""The sandbox server in a separate process, and a client without an SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"
NODE, STOPPED = "i-0123456789abcdef0", "i-00000000000000bad"
OWNER = "AKIAOWNEROWNEROWNERX"


class Failed(Exception):
    """An error response: its code, text and HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Server:
    """A running sandbox, called without an SDK: one process must not load two botocores."""

    url: str
    principals: dict[str, dict[str, str | None]]
    log: Path | None = None
    pid: int = 0

    def key(self, name: str) -> str:
        """Return the access key ID of a principal. An unknown `name` is an access key ID itself."""
        return str(self.principals[name]["access_key_id"]) if name in self.principals else name

    def variables(self, name: str) -> dict[str, str]:
        """Return the environment variables that sign as the user `name`, or as a session of that
        role.
        """
        signs = self.principals[name]
        found = {f"AWS_{member.upper()}": value for member, value in signs.items()}
        return {variable: value for variable, value in found.items() if value is not None}

    def ssm(self, who: str, operation: str, region: str = "us-east-1", **members: Any) -> Any:
        """Call an operation of SSM as `who`, and return its answer."""
        return self._json(who, "ssm", f"AmazonSSM.{operation}", members, region)

    def organizations(self, who: str, operation: str, **members: Any) -> Any:
        target = f"AWSOrganizationsV20161128.{operation}"
        return self._json(who, "organizations", target, members)

    def _json(
        self, who: str, service: str, target: str, members: Any, region: str = "us-east-1"
    ) -> Any:
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        body = json.dumps(members).encode()
        try:
            return json.loads(self._send(who, service, body, headers, region))
        except urllib.error.HTTPError as error:
            error_body = json.loads(error.read())
            message = error_body.get("message") or error_body["Message"]
            raise Failed(error_body["__type"], message, error.code) from None

    def query(self, who: str, service: str, operation: str, **members: Any) -> ET.Element:
        """Call an operation of IAM, STS or EC2 as `who`, and return its answer."""
        version = {"iam": "2010-05-08", "sts": "2011-06-15", "ec2": "2016-11-15"}[service]
        pairs = {"Action": operation, "Version": version, **dict(_flattened(members))}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(pairs).encode()
        try:
            return parsed(self._send(who, service, body, headers))
        except urllib.error.HTTPError as error:
            error_body = parsed(error.read())
            code, message = error_body.find(".//Code"), error_body.find(".//Message")
            assert code is not None
            assert message is not None
            raise Failed(str(code.text), str(message.text), error.code) from None

    def _send(
        self,
        who: str,
        service: str,
        body: bytes,
        headers: dict[str, str],
        region: str = "us-east-1",
    ) -> bytes:
        scope = f"{self.key(who)}/20260101/{region}/{service}/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(
            self.url, body, {**headers, "Authorization": authorization}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def simulate(self, who: str, source: str, *arns: str) -> ET.Element:
        """Simulate ssm:StartSession of `source` on `arns`."""
        return self.query(
            who,
            "iam",
            "SimulatePrincipalPolicy",
            PolicySourceArn=source,
            ActionNames=["ssm:StartSession"],
            ResourceArns=list(arns),
        )


def _flattened(members: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of the query protocol."""
    for name, value in members.items():
        if isinstance(value, list):
            numbered = {f"member.{number}": item for number, item in enumerate(value, start=1)}
            yield from ((f"{name}.{key}", item) for key, item in _flattened(numbered))
        elif isinstance(value, dict):
            yield from ((f"{name}.{key}", item) for key, item in _flattened(value))
        else:
            yield name, value


def parsed(content: bytes) -> ET.Element:
    """Return the XML without its namespaces."""
    root = ET.fromstring(content)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text(answer: ET.Element, path: str) -> str | None:
    """Return the text of the first element `path`, None if there is none."""
    found = answer.find(f".//{path}")
    return None if found is None else found.text


@contextmanager
def serving(*options: str, log: Path | None = None, before: Sequence[str] = ()) -> Iterator[Server]:
    """Run a server until the block ends. It writes a line for each request to `log`.

    The words `before` begin its command line, such as nsenter's.
    """
    reading, writing = os.pipe()
    argv = [*before, sys.executable, "-m", "ssmgate.sandbox", "--ready-fd", str(writing), *options]
    with open(os.devnull if log is None else log, "w") as errors:
        process = subprocess.Popen(
            [*argv, "--log"], stdin=subprocess.PIPE, stderr=errors, pass_fds=(writing,)
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        ready = json.loads(pipe.read())
    try:
        yield Server(ready["url"], ready["principals"], log, process.pid)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


@dataclass(frozen=True)
class SharedServer:
    """A server that other tests use too, and the requests that one test sent to it."""

    server: Server
    lines_before: int
    sessions_before: frozenset[str]

    @classmethod
    def from_now(cls, server: Server) -> SharedServer:
        """Return the server, without the requests and sessions up to now."""
        return cls(server, len(_lines(server)), frozenset(s["SessionId"] for s in _open(server)))

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def requests(self) -> list[str]:
        """Return a line for each request of the test: caller, operation, decision."""
        lines = _lines(self.server)[self.lines_before :]
        return [line for line in lines if not line.startswith("owner ")]

    @property
    def operations(self) -> list[str]:
        return [line.split()[1] for line in self.requests]

    def of(self, operation: str) -> list[str]:
        """Return the log lines of one operation."""
        return [line for line in self.requests if line.split()[1] == operation]

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that were started and not terminated."""
        found = _open(self.server)
        return [one for one in found if one["SessionId"] not in self.sessions_before]


def _lines(server: Server) -> list[str]:
    assert server.log is not None
    return server.log.read_text().splitlines()


def _open(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    members = {"State": "Active"}
    while True:
        answer = server.ssm(OWNER, "DescribeSessions", **members)
        found += answer["Sessions"]
        if "NextToken" not in answer:
            return found
        members["NextToken"] = answer["NextToken"]
