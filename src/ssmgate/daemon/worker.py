"""One start, made for another process: in its directory, with its variables and its stderr."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import NoReturn

from ssmgate.daemon import eligible, peer, protocol, requests
from ssmgate.daemon.instance_lock import Place
from ssmgate.gate import printer, process, start
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.aliases import read_line
from ssmgate.gate.argv.parse import Driver, Invocation
from ssmgate.gate.aws import SET_ASIDE, session
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import FallbackToColdStart, GateError
from ssmgate.gate.plugin.handover import Handover
from ssmgate.gate.system import signals, takeover

BEAT_SECONDS = 1.0
"""How often the one who asked hears that somebody is at work."""

REQUEST_SECONDS = 5.0
"""How long a request may take to be said."""

TAKE_SECONDS = 30.0
"""How long the one who asked may take to become the plugin. It may have been stopped (Ctrl-Z)."""


def answer(sock: socket.socket, place: Place, status: list[str], driver: Driver) -> bool:
    """Answer the request at `sock`, in a process of its own that ends after it.

    `place` is the daemon's, `status` is what it knows of itself, its process id first; `driver`
    has read nothing yet. Returns whether a start was made.
    """
    sock.settimeout(REQUEST_SECONDS)
    asker = _Client(sock)
    try:
        request = requests.request(sock, peer.own_facts())
    except (peer.Unproven, OSError) as why:
        asker.say(protocol.COLD, [str(why)])
        return False
    if request.lists[:1] != [place.said]:
        asker.say(protocol.COLD, ["other surroundings"])
    elif request.kind == protocol.STATUS:
        asker.say(protocol.END, status)
    elif request.kind == protocol.STOP:
        if os.getppid() == int(status[0]):
            os.kill(os.getppid(), signal.SIGTERM)
        asker.say(protocol.END, status)
    elif request.kind == protocol.REQUEST:
        _said, shim, argv, variables = request.lists
        environ = dict(one.split("=", 1) for one in variables)
        if not _has_home(environ, place):
            asker.say(protocol.COLD, ["another HOME"])
            return False
        _take_over(request, environ)
        if not eligible.is_eligible(argv, environ):
            asker.say(protocol.COLD, ["only the process that asks has what the start needs"])
            return False
        asker.listen()
        kind, text = _made(lambda: _read(argv, driver, bool(shim)), environ, asker)
        asker.end(kind, text)
        return kind == protocol.END
    return False


def _has_home(environ: Mapping[str, str], place: Place) -> bool:
    """Whether HOME is the daemon's, by its path and as a directory."""
    home = environ.get("HOME", "")
    try:
        return home == place.home and os.path.samestat(
            os.stat(home), os.fstat(place.home_directory)
        )
    except OSError:
        return False


def _take_over(request: requests.Request, environ: dict[str, str]) -> None:
    """Give this process what the one that asked has: directory, streams, umask, variables."""
    stdin, stderr, directory = request.descriptors
    os.fchdir(directory)
    os.dup2(stdin, 0)
    os.dup2(stderr, 2)
    # A word may lead to a descriptor by its number: no more of them than needed.
    for descriptor in (stdin, stderr, directory):
        os.close(descriptor)
    os.umask(request.umask)
    for number in takeover.ENDING:
        if request.ignored >> (number - 1) & 1:
            signal.signal(number, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update({k: v for k, v in environ.items() if k not in SET_ASIDE})


def _made(read: Callable[[], object], environ: dict[str, str], asker: _Client) -> tuple[bytes, str]:
    """The end of a start that did not become the plugin: END or COLD, and its text."""
    try:
        session.prevent_prompts(_not_here)
        config, invocation = _begun(read, environ)
        status = process.ended(
            lambda variables: _started(invocation, variables, config, asker),
            environ,
            explain=_explain,
        )
    except FallbackToColdStart as why:
        for note in getattr(why, "__notes__", ()):  # of a session that was started
            printer.eprint(f"ssmgate: {note}")
        return protocol.COLD, str(why)
    except Exception as error:
        # Whatever it is: the one who asks meets it again, and can tell more about it.
        return protocol.COLD, f"{type(error).__name__}"
    return protocol.END, str(status)


def _started(
    invocation: Invocation, environ: dict[str, str], config: Config, asker: _Client
) -> NoReturn:
    with start.started(start.permit(invocation, environ, config=config)) as session:
        asker.hand_over(session.handover)


def _explain(denial: GateError) -> None:
    from ssmgate.explain import summary

    summary.explain(denial)


def _read(argv: list[str], driver: Driver, shim: bool) -> object:
    return read_line(argv) if shim else parse.read(argv, driver)


def _begun(read: Callable[[], object], environ: dict[str, str]) -> tuple[Config, Invocation]:
    """The configuration and the line. Raises `FallbackToColdStart` for all but a plain start."""
    try:
        config = configuration.load(environ)
        if config.locked or config.daemon == "off":
            raise FallbackToColdStart("the configuration wants no daemon")
        line = read()
    except (GateError, SystemExit):
        raise FallbackToColdStart("the line or the configuration is wrong") from None
    if not isinstance(line, Invocation):
        raise FallbackToColdStart("the line starts no session")
    return config, line


def _not_here(*_: object, **__: object) -> NoReturn:
    raise FallbackToColdStart("somebody may be asked something")


class _Client:
    """The process that asked, at the other end. Two threads speak to it, one listens."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._speaking = threading.Lock()
        self._heard: queue.SimpleQueue[tuple[bytes, list[list[str]]]] = queue.SimpleQueue()
        self._has_it = False
        self._main = threading.get_ident()

    def say(self, kind: bytes, *lists: list[str]) -> None:
        """Send a message, if there is still somebody."""
        with self._speaking, contextlib.suppress(OSError):
            self._sock.sendall(protocol.packed(kind, *lists))

    def end(self, kind: bytes, text: str) -> None:
        """Send the last message. What comes then is not heeded."""
        self._has_it = True
        self.say(kind, [text])

    def listen(self) -> None:
        """From now on, tell each second that somebody is at work, and heed signals."""
        threading.Thread(target=self._listen, daemon=True).start()

    def hand_over(self, handover: Handover) -> NoReturn:
        """Have the one who asked become the plugin, and end. Raises if it does not.

        Signals are those of the one who asked, who makes its own last check.
        """
        try:
            kind, lists = self._offered(handover)
        except OSError:
            kind, lists = _LOST, []
        if kind == protocol.SIGNAL:
            raise signals.Interrupted(int(lists[0][0]))
        if kind == protocol.FAILED:
            raise handover.failed(lists[0][0])
        raise FallbackToColdStart("it took too long to take the session")

    def _offered(self, handover: Handover) -> tuple[bytes, list[list[str]]]:
        """What kept the one who asked from becoming the plugin. Does not return if it did."""
        variables = [f"{name}={text}" for name, text in handover.environ.items()]
        message = protocol.packed(
            protocol.HANDOVER, [handover.path], list(handover.argv), variables
        )
        self._sock.settimeout(TAKE_SECONDS)
        with self._speaking:
            # All of it, or the end: what is said after a part would be taken for the rest.
            self._sock.sendall(message)
        kind, lists = self._next(TAKE_SECONDS)
        if kind != protocol.TAKE:
            return kind, lists
        with self._speaking:
            self._has_it = True
            self._sock.sendall(protocol.packed(protocol.GO))
        # However long: it may have been stopped, and goes on as the plugin.
        kind, lists = self._next(None)
        if kind == _CLOSED:  # by exec
            os._exit(0)
        self._has_it = False
        return kind, lists

    def _next(self, seconds: float | None) -> tuple[bytes, list[list[str]]]:
        try:
            return self._heard.get(timeout=seconds)
        except queue.Empty:
            return _LOST, []

    def _listen(self) -> None:
        # They are the main thread's, which may be waiting for an answer of AWS's.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            if not select.select([self._sock], [], [], BEAT_SECONDS)[0]:
                if not self._has_it:
                    self.say(protocol.BEAT)
                continue
            kind, lists = self._received()
            self._heard.put((kind, lists))
            if self._has_it:
                number = 0
            elif kind in (_CLOSED, _LOST):
                number = signal.SIGTERM
            else:
                number = int(lists[0][0]) if kind == protocol.SIGNAL else 0
            if number in takeover.ENDING:
                # That thread's own, so that it breaks off what it waits for.
                signal.pthread_kill(self._main, number)
            if kind in (_CLOSED, _LOST):
                return

    def _received(self) -> tuple[bytes, list[list[str]]]:
        try:
            return requests.receive(self._sock)
        except protocol.Gone:
            return _CLOSED, []
        except (protocol.Broken, OSError):
            return _LOST, []


# Heard, as it were.
_CLOSED, _LOST = b"", b"-"
