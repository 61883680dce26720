"""The server: `python -m ssmgate.sandbox`, started by `ssmgate sandbox`.

It serves on loopback until its standard input ends, so that nothing is left behind when whoever
started it is gone.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ssmgate.gate.decision import printable
from ssmgate.sandbox import tools
from ssmgate.sandbox import world as worlds
from ssmgate.sandbox.agent.server import Agent, Nodes
from ssmgate.sandbox.sessions import Model, Sessions

# moto reads them when it is imported.
_MOTO = {
    # One account, whatever key signs.
    "MOTO_ACCOUNT_ID": "",
    # So that AdministratorAccess and its kin can be attached.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # A tenth of the start-up, and no session needs an image.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}

_LOOPBACK = "127.0.0.1"
_log = logging.getLogger("ssmgate.sandbox")


class _Printable(logging.Formatter):
    """A line for each record; a traceback has more. Requests quote what clients sent."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The message as one printable line."""
        return printable.line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback with its line breaks."""
        return printable.lines(super().formatException(ei))


def main() -> int:
    """Serve. Returns 0 when standard input has ended, 253 for a world or port that will not do."""
    options = _options()
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO if options.log else logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        world = _world(options.seed)
        with (
            socket.create_server((_LOOPBACK, options.port)) as listening,
            tempfile.TemporaryDirectory(prefix="ssmgate-sandbox-") as directory,
        ):
            made = tools.make(Path(directory), dict(os.environ))
            sessions = Sessions(Model(options.model))
            with _agent(world, sessions, made):
                _serve(options, world, sessions, made, listening)
    except worlds.WorldError as error:
        _log.error("ssmgate: sandbox: %s: %s", options.seed or "the seed", error)
        return 253
    except OSError as error:
        _log.error("ssmgate: sandbox: port %s: %s", options.port, error.strerror)
        return 253
    return 0


@contextmanager
def _agent(world: worlds.World, sessions: Sessions, made: tools.Tools) -> Iterator[None]:
    """The agent of all nodes, serving the data channels of `sessions` while the block runs."""
    nodes = Nodes({node.node_id: node.ports for node in world.nodes}, made.serve)
    with socket.create_server((_LOOPBACK, 0)) as listening:
        agent = Agent(listening, sessions, nodes, _log.info)
        sessions.stream_host = "{}:{}".format(*listening.getsockname())
        sessions.on_terminate = agent.terminate
        agent.start()
        try:
            yield
        finally:
            agent.stop()


def _serve(
    options: argparse.Namespace,
    world: worlds.World,
    sessions: Sessions,
    made: tools.Tools,
    listening: socket.socket,
) -> None:
    os.environ.update({**_MOTO, "MOTO_ACCOUNT_ID": world.account})
    # Importing moto builds large tables: collecting in between takes a third of the time.
    gc.disable()
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from ssmgate.sandbox import operations, seeding

    host, port = listening.getsockname()[:2]
    operations.install(sessions, _log.info)
    credentials = seeding.fill(world)
    gc.enable()
    server = make_server(
        host,
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=listening.fileno(),
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    ready = {
        "url": f"http://{host}:{port}",
        "region": world.region,
        "account": world.account,
        "as": world.default_name,
        "nodes": [node.node_id for node in world.nodes],
        "path": made.path,
        "ssh_config": made.ssh_config,
        "principals": {name: asdict(signs) for name, signs in credentials.items()},
    }
    with os.fdopen(options.ready_fd, "w") as pipe:
        pipe.write(json.dumps(ready))
    while sys.stdin.buffer.read(1024):
        pass
    server.shutdown()
    thread.join()
    server.server_close()


def _world(seed: Path | None) -> worlds.World:
    if seed is None:
        return worlds.default()
    try:
        return worlds.parse(seed.read_text("utf-8"))
    except OSError as error:
        raise worlds.WorldError(str(error.strerror)) from error
    except UnicodeDecodeError as error:
        raise worlds.WorldError("not UTF-8") from error


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ssmgate.sandbox")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--model", choices=[model.value for model in Model], default=Model.Y2025.value
    )
    parser.add_argument("--seed", type=Path)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--ready-fd", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
