"""A false daemon: it confines itself and listens where a client connects.

Run as a program: `confined_listener.py HOW TOLD`. HOW is a key of `confined_client.CONFINED`; TOLD
is JSON: the path of the socket, and the path of a program that the client is to execute. It speaks
the protocol as a daemon does, for one client. It prints a line when it listens, and as its second
line the messages of the client as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":
    # As with -P, but for the other fakes.
    sys.path[0] = str(Path(__file__).parent.parent)

from fakes.confined_client import confine
from fakes.processes import challenge, nonce_for
from ssmgate.daemon import protocol, requests

Heard = list[tuple[str, list[list[str]]]]


def attack(sock: socket.socket, program: str) -> Heard:
    """Make the client execute `program`, and return all that it sent until it closed the
    connection.
    """
    heard: Heard = []
    # It closed the connection, or executed the program.
    with suppress(protocol.Broken, OSError):
        sock.sendall(protocol.packed(protocol.HELLO, [protocol.PROTOCOL]))
        sock.sendall(challenge("nonce"))
        while True:
            kind, lists = requests.receive(sock)
            heard.append((kind.decode(), lists))
            if kind == protocol.CHALLENGE:
                nonce = ""
                with suppress(OSError):  # the client may not be traced
                    nonce = nonce_for(sock, lists)
                sock.sendall(protocol.packed(protocol.PROOF, [nonce]))
            elif kind == protocol.REQUEST:
                sock.sendall(protocol.packed(protocol.HANDOVER, [program], ["program"], [], []))
            elif kind == protocol.STATUS:
                sock.sendall(protocol.packed(protocol.END, ["1", "2", "3", "4"]))
            elif kind == protocol.TAKE:
                sock.sendall(protocol.packed(protocol.GO))
    return heard


def main() -> None:
    """Run the program that the module's docstring describes."""
    how, text = sys.argv[1:]
    arguments = json.loads(text)
    directory = os.open(os.path.dirname(arguments["socket"]), os.O_RDONLY)
    confine(how)
    os.fchdir(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(60)
        listener.bind(os.path.basename(arguments["socket"]))
        listener.listen()
        print("listens", flush=True)
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(60)
            print(json.dumps(attack(sock, arguments["program"])), flush=True)


if __name__ == "__main__":
    main()
