"""EC2's instance metadata service, version 2, with the credentials of one role.

    python -m fakes.instance_metadata ROLE < CREDENTIALS.json

The credentials are those of the sandbox: `access_key_id`, `secret_access_key`, `session_token`. The
paths and members are those of the EC2 User Guide, "Retrieve security credentials".
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

ADDRESS = ("169.254.169.254", 80)
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"
TOKEN = "token"


class Handler(BaseHTTPRequestHandler):
    """Answers a request. `role` and `secrets` are set by `main`."""

    role = ""
    secrets: ClassVar[dict[str, str]] = {}

    def do_PUT(self) -> None:
        """Return a token for the requests that follow."""
        self.answer(200 if self.path == "/latest/api/token" else 404, TOKEN)

    def do_GET(self) -> None:
        """Return the name of the role, or its credentials."""
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self.answer(401, "")
        elif self.path == CREDENTIALS:
            self.answer(200, self.role)
        elif self.path == CREDENTIALS + self.role:
            found = {
                "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                "Expiration": "2099-01-01T00:00:00Z",
                "AccessKeyId": self.secrets["access_key_id"],
                "SecretAccessKey": self.secrets["secret_access_key"],
                "Token": self.secrets["session_token"],
            }  # fmt: skip
            self.answer(200, json.dumps(found))
        else:
            self.answer(404, "")

    def answer(self, status: int, text: str) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        # The CLI reads the time of a token that it may use again from its answer.
        self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> None:
    """Serve until the process ends. Prints a line when it listens."""
    Handler.role, Handler.secrets = sys.argv[1], json.load(sys.stdin)
    with ThreadingHTTPServer(ADDRESS, Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
