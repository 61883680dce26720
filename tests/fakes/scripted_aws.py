"""A scripted STS, IAM and SSM on loopback: real HTTP, answers in recorded shapes, and faults.

The shapes of SimulatePrincipalPolicy were recorded from the real service: one result per action,
ResourceSpecificResults in request order, empty members omitted.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from fakes.waiting import until

ACCOUNT = "111122223333"
TOKEN = "TOKEN-THAT-NOBODY-MAY-SEE"
STREAM_URL = "wss://STREAM-THAT-NOBODY-MAY-SEE.example/v1/data-channel/alice-0abc"
SESSION_ID = "alice-0123456789abcdef0"


@dataclass(frozen=True)
class Received:
    """One request as it arrived: the `parameters` of a query, or the JSON body for SSM."""

    operation: str
    parameters: dict[str, Any]
    headers: dict[str, str]
    body: str

    @property
    def access_key(self) -> str:
        return self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]

    @property
    def context(self) -> dict[str, tuple[str, list[str]]]:
        """Return the ContextEntries of a simulation: name -> (type, values)."""
        found: dict[str, tuple[str, list[str]]] = {}
        number = 1
        while f"ContextEntries.member.{number}.ContextKeyName" in self.parameters:
            prefix = f"ContextEntries.member.{number}."
            values = [
                v for k, v in self.parameters.items() if k.startswith(prefix + "ContextKeyValues")
            ]
            found[self.parameters[prefix + "ContextKeyName"]] = (
                self.parameters[prefix + "ContextKeyType"],
                values,
            )
            number += 1
        return found


JSON_REQUEST_ID = "r-2"

Answer = Callable[[BaseHTTPRequestHandler, Received], None]


def send(
    handler: BaseHTTPRequestHandler, status: int, body: str, content_type: str = "text/xml"
) -> None:
    data = body.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(data)))
    if "json" in content_type:  # XML has the id in the body
        handler.send_header("x-amzn-RequestId", JSON_REQUEST_ID)
    handler.end_headers()
    handler.wfile.write(data)


def xml(result: str, status: int = 200) -> Answer:
    """Return a query answer: `result` is the content of <…Result>."""

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        name = received.operation
        body = (
            f'<{name}Response xmlns="https://example.amazonaws.com/doc/"><{name}Result>{result}'
            f"</{name}Result><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
            f"</{name}Response>"
        )
        send(handler, status, body)

    return answer


def xml_error(code: str, message: str, status: int = 400) -> Answer:
    """Return an answer of STS, IAM or EC2 that is an error."""
    return lambda handler, _: send(
        handler,
        status,
        f'<ErrorResponse xmlns="https://example.amazonaws.com/doc/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        "<RequestId>r-1</RequestId></ErrorResponse>",
    )


def json_ok(body: object) -> Answer:
    text = json.dumps(body)

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        # Before it is sent: the client may act on it at once.
        handler.server.answered.append((received.operation, body))
        send(handler, 200, text, "application/x-amz-json-1.1")

    return answer


def json_error(code: str, message: str, status: int = 400) -> Answer:
    """Return an answer of SSM that is an error."""
    text = json.dumps({"__type": code, "message": message})
    return lambda handler, _: send(handler, status, text, "application/x-amz-json-1.1")


def text(body: str, status: int = 200, content_type: str = "text/html") -> Answer:
    """Return an answer that is not of the form of AWS."""
    return lambda handler, _: send(handler, status, body, content_type)


def hang(seconds: float) -> Answer:
    """Return an answer that never comes: the connection closes after `seconds`."""
    return lambda handler, received: time.sleep(seconds)


def slowly(answer: Answer, seconds: float) -> Answer:
    """Return `answer`, `seconds` later."""

    def late(handler: BaseHTTPRequestHandler, received: Received) -> None:
        time.sleep(seconds)
        answer(handler, received)

    return late


def dripping(seconds: float) -> Answer:
    """Return an answer that arrives byte by byte, so that no read timeout ends it."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        for _ in range(int(seconds / 0.05)):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    return answer


def after(event: threading.Event, answer: Answer) -> Answer:
    """Receive the request, and answer it once `event` is set."""

    def late(handler: BaseHTTPRequestHandler, received: Received) -> None:
        event.wait(30)
        answer(handler, received)

    return late


def credentials(access_key: str) -> Answer:
    """Return an answer of AssumeRole."""
    return xml(
        f"<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>secret"
        "</SecretAccessKey><SessionToken>session-token</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )


def reset() -> Answer:
    """Receive the request, then reset the connection."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not close(): the handler's files would keep the connection open.
        os.close(handler.connection.detach())

    return answer


def truncated(body: str = "<GetCaller") -> Answer:
    """Announce more bytes than are sent."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(body.encode())
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    return answer


def identity(arn: str, user_id: str = "AIDAEXAMPLE", account: str = ACCOUNT) -> Answer:
    """Return an answer of GetCallerIdentity."""
    return xml(f"<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account}</Account>")


def role(arn: str, *trusted_to: str, **tags: str) -> Answer:
    """Return an answer of GetRole. `trusted_to` are the actions of the trust policy."""
    actions = list(trusted_to) or ["sts:AssumeRole"]
    trust = quote(json.dumps({"Statement": {"Effect": "Allow", "Action": actions}}))
    name = arn.rpartition("/")[2]
    return xml(
        f"<Role><Path>/</Path><Arn>{arn}</Arn><RoleName>{name}</RoleName><RoleId>AROAX</RoleId>"
        f"<CreateDate>2024-01-01T00:00:00Z</CreateDate>"
        f"<AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>{_tags(tags)}</Role>"
    )


def user(arn: str, **tags: str) -> Answer:
    """Return an answer of GetUser."""
    name = arn.rpartition("/")[2]
    return xml(
        f"<User><Path>/</Path><Arn>{arn}</Arn><UserName>{name}</UserName><UserId>AIDAX</UserId>"
        f"<CreateDate>2024-01-01T00:00:00Z</CreateDate>{_tags(tags)}</User>"
    )


def _tags(tags: dict[str, str]) -> str:
    members = "".join(
        f"<member><Key>{name}</Key><Value>{value}</Value></member>" for name, value in tags.items()
    )
    return f"<Tags>{members}</Tags>" if tags else ""


def document_tags(**tags: str) -> Answer:
    """Return an answer of ListTagsForResource."""
    return json_ok({"TagList": [{"Key": name, "Value": value} for name, value in tags.items()]})


def context_keys(*names: str) -> Answer:
    """Return an answer of GetContextKeysForPrincipalPolicy."""
    members = "".join(f"<member>{name}</member>" for name in names)
    return xml(f"<ContextKeyNames>{members}</ContextKeyNames>")


def evaluation(
    decision: str = "allowed",
    *,
    name: str | None = None,
    specific: str | None = None,
    action: str = "ssm:StartSession",
    policies: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    boundary: bool | None = None,
    organizations: bool | None = None,
    with_specific: bool = True,
) -> Answer:
    """Return an answer of SimulatePrincipalPolicy about one ARN: that of the request, or `name`."""

    def flag(tag: str, member: str, value: bool | None) -> str:
        return "" if value is None else f"<{tag}><{member}>{str(value).lower()}</{member}></{tag}>"

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        arn = escape(name or received.parameters["ResourceArns.member.1"])
        statements = "".join(
            f"<member><SourcePolicyId>{p}</SourcePolicyId><SourcePolicyType>IAM Policy"
            "</SourcePolicyType></member>"
            for p in policies
        )
        matched = f"<MatchedStatements>{statements}</MatchedStatements>" if policies else ""
        keys = "".join(f"<member>{key}</member>" for key in missing)
        lacked = f"<MissingContextValues>{keys}</MissingContextValues>" if missing else ""
        layer = flag("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary", boundary)
        org = flag("OrganizationsDecisionDetail", "AllowedByOrganizations", organizations)
        inner = (
            "<ResourceSpecificResults><member>"
            f"<EvalResourceName>{arn}</EvalResourceName>"
            f"<EvalResourceDecision>{specific or decision}</EvalResourceDecision>"
            f"{matched}{lacked}{layer}</member></ResourceSpecificResults>"
            if with_specific
            else ""
        )
        xml(
            f"<IsTruncated>false</IsTruncated><EvaluationResults><member>"
            f"<EvalActionName>{action}</EvalActionName><EvalResourceName>{arn}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision>{matched}{lacked}{layer}{org}{inner}"
            "</member></EvaluationResults>"
        )(handler, received)

    return answer


def all_decided(decision: str = "allowed") -> Answer:
    """Return an answer of SimulatePrincipalPolicy with one `decision` for each of several ARNs."""

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        arns = [
            value for name, value in received.parameters.items() if name.startswith("ResourceArns.")
        ]
        entries = "".join(
            f"<member><EvalResourceName>{escape(arn)}</EvalResourceName>"
            f"<EvalResourceDecision>{decision}</EvalResourceDecision></member>"
            for arn in arns
        )
        xml(
            "<IsTruncated>false</IsTruncated><EvaluationResults><member>"
            "<EvalActionName>ssm:StartSession</EvalActionName>"
            f"<EvalResourceName>{escape(arns[0])}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision>"
            f"<ResourceSpecificResults>{entries}</ResourceSpecificResults>"
            "</member></EvaluationResults>"
        )(handler, received)

    return answer


STARTED = {"SessionId": SESSION_ID, "TokenValue": TOKEN, "StreamUrl": STREAM_URL}


class _Server(ThreadingHTTPServer):
    # Of a hundred starts at once, the kernel would reset the connections for which there is no
    # room, half a minute later.
    request_queue_size = 512


@dataclass
class ScriptedAws:
    """The server. `answers` has the consecutive answers of each operation.

    The last answer is repeated. `received` has each request in order. With `tls`, a context of the
    server side, it speaks https. `connections` counts the connections that were opened.
    """

    delay: float = 0.0
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    answered: list[tuple[str, object]] = field(default_factory=list)
    address: tuple[str, int] = ("127.0.0.1", 0)
    tls: ssl.SSLContext | None = None
    connections: int = 0

    def __post_init__(self) -> None:
        self.answers = {
            "GetCallerIdentity": [identity(f"arn:aws:iam::{ACCOUNT}:user/alice")],
            "SimulatePrincipalPolicy": [evaluation()],
            "GetRole": [xml_error("AccessDenied", "not authorized to perform: iam:GetRole", 403)],
            "StartSession": [json_ok(STARTED)],
            "TerminateSession": [json_ok({"SessionId": SESSION_ID})],
            **self.answers,
        }
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One segment an answer: without it the delays of Nagle's algorithm are measured.
            wbufsize = -1
            # As servers have it: a session ticket that is not acknowledged yet holds no answer up.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                scripted.connections += 1
                super().setup()

            def do_POST(self) -> None:
                scripted._answer(self)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (OSError, ValueError):
                    self.close_connection = True

        self._server = _Server(self.address, Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            # Handshakes are the threads' own, or one that fails would end them all.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.answered = self.answered
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> ScriptedAws:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_port}"

    def script(self, operation: str, *answers: Answer) -> None:
        """Set the answers of an operation, in order. The last one is repeated."""
        self.answers[operation] = list(answers)

    def calls(self, operation: str) -> list[Received]:
        """Return the requests of one operation, in order."""
        return [r for r in self.received if r.operation == operation]

    @property
    def operations(self) -> list[str]:
        """Return the names of the operations that were called, in order."""
        return [r.operation for r in self.received]

    def open_sessions(self) -> int:
        """Return the number of sessions that are not terminated, if each StartSession succeeded."""
        return len(self.calls("StartSession")) - len(self.calls("TerminateSession"))

    def sessions_left(self) -> list[str]:
        """Return the SessionIds in answers of StartSession that no TerminateSession ended."""
        opened: list[str] = []
        for operation, body in self.answered:
            session_id = body.get("SessionId") if isinstance(body, dict) else None
            if operation == "StartSession" and isinstance(session_id, str):
                opened.append(session_id)
            elif operation == "TerminateSession" and session_id in opened:
                opened.remove(session_id)
        return opened

    def wait_for(self, operation: str, count: int = 1, seconds: float = 20) -> None:
        """Return when `operation` has arrived `count` times."""
        until(lambda: len(self.calls(operation)) >= count, seconds)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        headers = {name.title(): value for name, value in handler.headers.items()}
        if target := headers.get("X-Amz-Target"):
            operation, parameters = target.rpartition(".")[2], json.loads(body)
        else:
            parameters = dict(parse_qsl(body, keep_blank_values=True))
            operation = parameters.get("Action", "?")
        received = Received(operation, parameters, headers, body)
        self.received.append(received)
        queue = self.answers.get(operation)
        if self.delay:
            time.sleep(self.delay)
        if not queue:
            xml_error("InvalidAction", f"no answer is scripted for {operation}")(handler, received)
            return
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        answer(handler, received)
        handler.wfile.flush() if not handler.wfile.closed else None
