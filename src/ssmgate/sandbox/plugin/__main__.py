"""`ssmgate-sandbox-plugin`: the plugin's arguments, answers and exit codes.

The contract is that of src/sessionmanagerplugin/session/session.go of session-manager-plugin: the
response (or the name of the variable that holds it), region, operation, profile, request and
endpoint; every end that is told ends with 0. Differently, 1 is for what only a stand-in can
meet: a stream that is not on loopback, and a sandbox that has gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys

VERSION = "1.2.9999.0"
"""None of the plugin's own; new enough to be given the token in the environment."""
_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_ARGUMENTS = 6
_NAME = "ssmgate-sandbox-plugin"


def main(arguments: list[str]) -> int:
    """Do what the plugin would with these words, its name left out. Returns the exit code."""
    if arguments == ["--version"]:
        _say(f"{VERSION}\n")
        return 0
    if len(arguments) < _ARGUMENTS:
        _say(f"\n{_NAME}: a stand-in for session-manager-plugin, started by the AWS CLI\n\n")
        return 0
    response, _region, operation, _profile, _request, _endpoint = arguments[:_ARGUMENTS]
    if operation != "StartSession":
        _say("Invalid Operation")
        return 0
    if response.startswith(_VARIABLE):
        response = os.environ.pop(response, "")
    try:
        told = json.loads(response)
        session_id, token = str(told["SessionId"]), str(told["TokenValue"])
        stream_url = str(told["StreamUrl"])
    except (ValueError, KeyError, TypeError) as error:
        _say(f"Cannot perform start session: {error}\n")
        return 0
    _tell(f"{_NAME}: a stand-in for session-manager-plugin, for the sandbox only\n")
    # Not for --version, which is asked before each session.
    from ssmgate.sandbox.plugin.session import Session
    from ssmgate.sandbox.plugin.wire import NotLoopback, Wire, WireClosed

    try:
        wire = Wire.open(stream_url)
    except NotLoopback as error:
        _tell(f"{_NAME}: {error}: it talks to a sandbox of this machine only\n")
        return 1
    except WireClosed as error:
        _tell(f"{_NAME}: {error}\n")
        return 1
    _say(f"\nStarting session with SessionId: {session_id}\n")
    try:
        _say(Session(session_id, token, VERSION, wire).run())
    except WireClosed as error:
        _tell(f"{_NAME}: {error}\n")
        return 1
    except BrokenPipeError:
        return 0
    return 0


def _say(text: str) -> None:
    os.write(1, text.encode())


def _tell(text: str) -> None:
    os.write(2, text.encode())


def run() -> None:
    """The console script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
