"""The server process `python -m ssmgate.sandbox`, which `ssmgate sandbox` starts.

It serves on loopback until its standard input ends, so also when its parent is killed.
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
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.sandbox import lighter, tools
from ssmgate.sandbox import seed as seeds
from ssmgate.sandbox.agent.server import Agent, Nodes
from ssmgate.sandbox.seed_table import SeedError
from ssmgate.sandbox.sessions import Model, Sessions

# moto reads these environment variables when it is imported.
_MOTO = {
    # The account of access keys that the sandbox did not issue.
    "MOTO_ACCOUNT_ID": "",
    # So that AWS managed policies such as AdministratorAccess can be attached.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # Loading them takes a tenth of the start-up time, and sessions do not need images.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}

_UNUSED_PLUGIN = (
    "ssmgate: sandbox: session-manager-plugin %s connects to AWS only:"
    " the stub plugin in %s is used"
)
_LOOPBACK = "127.0.0.1"
_log = logging.getLogger("ssmgate.sandbox")


class _Printable(logging.Formatter):
    """Escape unprintable characters, because records contain text from clients."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the message as one printable line."""
        return printable.line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the traceback in printable lines."""
        return printable.lines(super().formatException(ei))


def main() -> int:
    """Serve. Returns 0 after standard input has ended, 253 for an invalid seed or a used port."""
    options = _options()
    lighter.share_heap()
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO if options.log else logging.ERROR)
    _log.setLevel(logging.INFO if options.log else logging.WARNING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        seed = _read(options.seed)
        with (
            socket.create_server((_LOOPBACK, options.port)) as listening,
            tempfile.TemporaryDirectory(prefix="ssmgate-sandbox-") as directory,
        ):
            programs = tools.make(Path(directory), dict(os.environ))
            if programs.unused_plugin is not None:
                _log.error(_UNUSED_PLUGIN, programs.unused_plugin, programs.path)
            sessions = Sessions(Model(options.model))
            with _agent(seed, sessions, programs, options.session_logs):
                _serve(options, seed, sessions, programs, listening)
    except SeedError as error:
        _log.error("ssmgate: sandbox: %s: %s", options.seed or "the seed", error)
        return 253
    except OSError as error:
        _log.error("ssmgate: sandbox: port %s: %s", options.port, error.strerror)
        return 253
    return 0


@contextmanager
def _agent(
    seed: seeds.Seed, sessions: Sessions, programs: tools.Tools, logs: str | None
) -> Iterator[None]:
    """Run the agent of all nodes, which serves the data channels of `sessions`, in the block."""
    nodes = Nodes({node.node_id: node.ports for node in seed.nodes}, programs.serve)
    with socket.create_server((_LOOPBACK, 0)) as listening:
        agent = Agent(listening, sessions, nodes, _log.info, logs)
        sessions.stream_host = "{}:{}".format(*listening.getsockname())
        sessions.on_terminate = agent.terminate
        agent.start()
        try:
            yield
        finally:
            agent.stop()


def _serve(
    options: argparse.Namespace,
    seed: seeds.Seed,
    sessions: Sessions,
    programs: tools.Tools,
    listening: socket.socket,
) -> None:
    os.environ.update({**_MOTO, "MOTO_ACCOUNT_ID": seed.home.account_id})
    # Importing moto builds large tables: garbage collection would take a third of that time.
    gc.disable()
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    lighter.prepare()
    from ssmgate.sandbox import operations, seeding

    host, port = listening.getsockname()[:2]
    operations.install(sessions, _log.info)
    credentials = seeding.create(seed)
    _warn_of_missing_document(seed)
    # None of this becomes garbage, so that no collection has to visit it.
    gc.freeze()
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
        "region": seed.region,
        "account": seed.home.account_id,
        "as": seed.default_name,
        "nodes": [node.node_id for node in seed.nodes],
        "path": programs.path,
        "ssh_config": programs.ssh_config,
        "principals": {name: asdict(value) for name, value in credentials.items()},
    }
    with os.fdopen(options.ready_fd, "w") as pipe:
        pipe.write(json.dumps(ready))
    while sys.stdin.buffer.read(1024):
        pass
    server.shutdown()
    thread.join()
    server.server_close()


def _warn_of_missing_document(seed: seeds.Seed) -> None:
    for account in seed.accounts:
        named = {document.name for document in account.documents}
        if DEFAULT_DOCUMENT_NAME not in named and (account.nodes or account is seed.home):
            _log.warning(
                "ssmgate: sandbox: note: account %s has no document %s: sessions that name it fail."
                ' To create it: [[document]] name = "%s"',
                account.account_id,
                DEFAULT_DOCUMENT_NAME,
                DEFAULT_DOCUMENT_NAME,
            )


def _read(path: Path | None) -> seeds.Seed:
    if path is None:
        return seeds.default()
    try:
        return seeds.parse(path.read_text("utf-8"))
    except OSError as error:
        raise SeedError(str(error.strerror)) from error
    except UnicodeDecodeError as error:
        raise SeedError("not UTF-8") from error


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ssmgate.sandbox")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--model", choices=[model.value for model in Model], default=Model.Y2025.value
    )
    parser.add_argument("--seed", type=Path)
    parser.add_argument("--session-logs", type=os.path.abspath)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--ready-fd", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
