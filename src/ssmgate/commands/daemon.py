"""`ssmgate daemon`: the fork server that speeds up session starts."""

from __future__ import annotations

import os
from _socket import socket

import click

from ssmgate.commands.help import Group
from ssmgate.commands.printer import echo
from ssmgate.daemon import client, instance_lock, location, peer, protocol, spawn
from ssmgate.gate import exits
from ssmgate.gate.config import load as configuration
from ssmgate.gate.decision.errors import ConfigurationProblem, GateError


@click.group(cls=Group)
def daemon() -> None:
    """Run the fork server that speeds up session starts.

    The configuration key `daemon` is "on" to use a running daemon, "auto" to start one in the
    background as well, or "off".
    """


@daemon.command()
@click.option(
    "--idle",
    type=click.IntRange(min=0),
    default=instance_lock.IDLE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Exit after this time without a session start; 0: never.",
)
@click.option("--in-place", is_flag=True, hidden=True)
@click.option("--lock", type=int, hidden=True)
def run(idle: int, in_place: bool, lock: int | None) -> None:
    """Run the daemon in the foreground.

    The daemon has the AWS CLI loaded, and forks a worker for each session start. It stores neither
    credentials nor requests. It serves only this user, with the same HOME and locale, and only if
    the system's configuration locks no keys. It runs until it is idle for a time, or stopped.
    """
    environ = _environ()
    if not in_place:
        config = configuration.load(environ)
        if config.locked or config.daemon == "off":
            why = "the system's configuration locks keys" if config.locked else 'daemon is "off"'
            raise ConfigurationProblem(f"the daemon is not used: {why}")
        options = ["--idle", str(idle)]
        _open_streams()
        # Execute again without secrets in the environment, which stays in memory.
        argv = spawn.command(*options)
        os.execve(argv[0], argv, spawn.environment(environ))
    if lock is not None:
        os.setsid()
    with instance_lock.locked_location(environ, lock) as here:
        # Imported late, because it loads everything that a session start needs.
        from ssmgate.daemon.server import Daemon

        Daemon(here, idle or float("inf")).serve()


@daemon.command(short_help="Print whether the daemon is running.")
def status() -> None:
    """Print the process ID and the number of session starts. Exits 3 if no daemon is running."""
    pid, seconds, made, under_way = _request(protocol.STATUS)
    echo(f"process {pid}, {seconds} s; session starts: {made}, in progress: {under_way}")


@daemon.command(short_help="Stop the daemon.")
def stop() -> None:
    """Stop the daemon. Sessions being started continue. Exits 3 if no daemon is running."""
    _request(protocol.STOP)


def _request(kind: bytes) -> list[str]:
    environ = _environ()
    try:
        own = peer.own_facts()
        fingerprint = location.environment_fingerprint(environ, own)
        # Unlike a session start, this needs an answer: wait longer, also on a busy machine.
        sock = client.connected(environ["HOME"], fingerprint, own, client.SILENT_SECONDS)
        if sock is None:
            echo("the daemon is not running", err=True)
            raise click.exceptions.Exit(exits.DENIED)
        try:
            answer, lists = _answer(sock, own, kind, fingerprint)
        finally:
            sock.close()
    except peer.Unproven as error:
        raise GateError(f"the daemon cannot be verified: {error}") from error
    except (protocol.Broken, OSError) as error:
        raise GateError("the daemon does not answer") from error
    if answer != protocol.END:
        raise GateError("the daemon does not answer")
    return lists[0]


def _answer(
    sock: socket, own: dict[str, str], kind: bytes, fingerprint: list[str]
) -> tuple[bytes, list[list[str]]]:
    with open(os.devnull) as nothing:
        number = nothing.fileno()
        # The daemon may serve session starts first.
        worker, nonce = client.worker(sock, own)
        protocol.send_with_descriptors(
            sock, protocol.packed(kind, [nonce], fingerprint), (number,) * 3
        )
        return protocol.receive_noted(sock, worker)[:2]


def _open_streams() -> None:
    """Ensure that descriptors 0 to 2 are open: workers put the client's descriptors there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _environ() -> dict[str, str]:
    if not os.path.isabs(os.environ.get("HOME", "")):
        raise ConfigurationProblem(
            "the daemon needs HOME, with an absolute path",
            hints=("sessions start without a daemon; to run one, set HOME",),
        )
    return dict(os.environ)
