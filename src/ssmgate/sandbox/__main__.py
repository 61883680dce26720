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
import threading
from dataclasses import asdict
from pathlib import Path

from ssmgate.sandbox import world as worlds
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

_log = logging.getLogger("ssmgate.sandbox")


def main() -> int:
    """Serve. Returns 0 when standard input has ended, 253 for a world or port that will not do."""
    options = _options()
    logging.basicConfig(format="%(message)s", level=logging.INFO if options.log else logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        world = _world(options.seed)
        with socket.create_server(("127.0.0.1", options.port)) as listening:
            _serve(options, world, listening)
    except worlds.WorldError as error:
        _log.error("ssmgate: sandbox: %s: %s", options.seed or "the seed", error)
        return 253
    except OSError as error:
        _log.error("ssmgate: sandbox: port %s: %s", options.port, error.strerror)
        return 253
    return 0


def _serve(options: argparse.Namespace, world: worlds.World, listening: socket.socket) -> None:
    os.environ.update({**_MOTO, "MOTO_ACCOUNT_ID": world.account})
    # Importing moto builds large tables: collecting in between takes a third of the time.
    gc.disable()
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from ssmgate.sandbox import filling, operations

    host, port = listening.getsockname()[:2]
    operations.install(Sessions(Model(options.model), f"{host}:{port}"), _log.info)
    credentials = filling.fill(world)
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
    parser.add_argument("--model", choices=[model.value for model in Model], default="seed")
    parser.add_argument("--seed", type=Path)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--ready-fd", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
