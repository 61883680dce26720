"""Resume a session whose data channel was lost, with ssm:ResumeSession."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import urllib.parse

from ssmgate.sandbox.plugin.wire import NotLoopback, Wire, WireClosed

_SECONDS = 5.0
_MOST_BYTES = 1 << 16


def resume(endpoint: str, region: str, session_id: str) -> tuple[Wire, str]:
    """Return a new wire of the session and its token, from SSM at the URL `endpoint`.

    The access key is that of the environment. The request is not signed, as the sandbox verifies
    no signature. Raises `WireClosed` if the session has ended, and without such a key.
    """
    lost = WireClosed("the data channel was lost")
    key = os.environ.get("AWS_ACCESS_KEY_ID")
    address = urllib.parse.urlsplit(endpoint)
    try:
        if not key or not ipaddress.ip_address(address.hostname or "").is_loopback:
            raise lost
        answer = _request(address.netloc, key, region, session_id)
        return Wire.open(str(answer["StreamUrl"])), str(answer["TokenValue"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, NotLoopback) as error:
        raise lost from error


def _request(netloc: str, key: str, region: str, session_id: str) -> dict[str, object]:
    connection = http.client.HTTPConnection(netloc, timeout=_SECONDS)
    scope = f"{key}/20260101/{region}/ssm/aws4_request"
    connection.request(
        "POST",
        "/",
        json.dumps({"SessionId": session_id}),
        {
            "X-Amz-Target": "AmazonSSM.ResumeSession",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host,"
            " Signature=0",
        },
    )
    with connection.getresponse() as response:
        answer = json.loads(response.read(_MOST_BYTES))
    return answer if isinstance(answer, dict) else {}
