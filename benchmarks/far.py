"""Run the scripted AWS as a process: `far.py DIRECTORY ROUND_TRIP`.

For each line on standard input it prints the counts of calls. With the round trip `None` it
serves plain HTTP.
"""

from __future__ import annotations

import collections
import json
import queue
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import awscli

from fakes.certificates import server_context
from fakes.scripted_aws import ScriptedAws

PUBLIC = Path(awscli.__file__).parent / "botocore" / "cacert.pem"


def carry(source: socket.socket, sink: socket.socket, delay: float) -> None:
    """Forward data from `source` to `sink`, each piece `delay` seconds after it was sent."""
    pieces: queue.Queue[tuple[float, bytes]] = queue.Queue()

    def deliver() -> None:
        while True:
            at, piece = pieces.get()
            time.sleep(max(0.0, at - time.monotonic()))
            try:
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(piece)
            except OSError:
                return

    threading.Thread(target=deliver, daemon=True).start()
    while True:
        try:
            piece = source.recv(65536)
        except OSError:
            piece = b""
        pieces.put((time.monotonic() + delay, piece))
        if not piece:
            return


def between(near: socket.socket, address: tuple[str, int], round_trip: float) -> None:
    """Forward one connection, with a round trip for connecting before the first byte."""
    time.sleep(round_trip)
    far = socket.create_connection(address)
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=carry, args=(far, near, round_trip / 2), daemon=True).start()
    carry(near, far, round_trip / 2)


def serve(address: tuple[str, int], round_trip: float) -> int:
    """Serve a proxy for `address` with the latency `round_trip`. Returns its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)

    def accept() -> None:
        while True:
            near, _ = listening.accept()
            threading.Thread(target=between, args=(near, address, round_trip), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def main() -> None:
    directory, round_trip = Path(sys.argv[1]), sys.argv[2]
    tls = None
    if round_trip != "None":
        tls, authority = server_context(directory)
        (directory / "bundle.pem").write_text(PUBLIC.read_text() + authority.read_text())
    with ScriptedAws(tls=tls) as aws:
        url = aws.url
        if round_trip != "None":
            port = int(url.rpartition(":")[2])
            url = f"https://127.0.0.1:{serve(('127.0.0.1', port), float(round_trip))}"
        print(url, flush=True)
        seen = 0
        for _ in sys.stdin:
            operations = aws.operations
            print(json.dumps(collections.Counter(operations[seen:])), flush=True)
            seen = len(operations)


if __name__ == "__main__":
    main()
