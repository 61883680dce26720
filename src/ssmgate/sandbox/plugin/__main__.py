"""The stub of session-manager-plugin: the plugin's arguments, output and exit statuses.

They are those of src/sessionmanagerplugin/session/session.go of session-manager-plugin. The
arguments are the response (or the name of the environment variable that contains it), region,
operation, profile, request and endpoint. The exit status is 0 for every end with a message. Only
this stub exits with 1: if the stream is not on loopback, and if the sandbox has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys

VERSION = "1.2.9999.0"
"""Not a version of the real plugin, but new enough to get the token in the environment."""
_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_ARGUMENTS = 6
_NAME = "ssmgate-sandbox-plugin"


def main(arguments: list[str]) -> int:
    """Run with the plugin's arguments, without the program's name. Returns the exit status."""
    if arguments == ["--version"]:
        _print(f"{VERSION}\n")
        return 0
    if len(arguments) < _ARGUMENTS:
        _print(f"\n{_NAME}: a stub of session-manager-plugin, started by the AWS CLI\n\n")
        return 0
    response, region, operation, _profile, _request, endpoint = arguments[:_ARGUMENTS]
    if operation != "StartSession":
        _print("Invalid Operation")
        return 0
    if response.startswith(_VARIABLE):
        response = os.environ.pop(response, "")
    try:
        values = json.loads(response)
        session_id, token = str(values["SessionId"]), str(values["TokenValue"])
        stream_url = str(values["StreamUrl"])
    except (ValueError, KeyError, TypeError) as error:
        _print(f"Cannot perform start session: {error}\n")
        return 0
    _print_error(f"{_NAME}: a stub of session-manager-plugin, for the sandbox only\n")
    # Imported late, because --version is called before each session.
    from ssmgate.sandbox.plugin.session import Session
    from ssmgate.sandbox.plugin.wire import NotLoopback, Wire, WireClosed

    def reconnect() -> tuple[Wire, str]:
        # Its imports would make every session slower.
        from ssmgate.sandbox.plugin.resume import resume

        return resume(endpoint, region, session_id)

    try:
        wire = Wire.open(stream_url)
    except NotLoopback as error:
        _print_error(f"{_NAME}: {error}: this stub connects to a sandbox on this machine only\n")
        return 1
    except WireClosed as error:
        _print_error(f"{_NAME}: {error}\n")
        return 1
    _print(f"\nStarting session with SessionId: {session_id}\n")
    try:
        _print(Session(session_id, token, VERSION, wire, reconnect).run())
    except WireClosed as error:
        _print_error(f"{_NAME}: {error}\n")
        return 1
    except BrokenPipeError:
        return 0
    return 0


def _print(text: str) -> None:
    os.write(1, text.encode())


def _print_error(text: str) -> None:
    os.write(2, text.encode())


def run() -> None:
    """Run as a program."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
