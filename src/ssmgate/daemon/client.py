"""The daemon's client: the calling process, until it becomes the plugin."""

from __future__ import annotations

import _socket
import os
import time

from ssmgate.daemon import location, peer, protocol
from ssmgate.daemon.protocol import Broken
from ssmgate.gate.system import SYSTEM_FILE, takeover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Command = tuple[str, Sequence[str], dict[str, str]]
    Shim = tuple[str, str] | None
    Terminate = Callable[[str, list[str], Shim], object]

HELLO_SECONDS = 1.0  # how long a daemon may take to answer
SILENT_SECONDS = 5.0  # how long a worker, which sends BEAT each second, may be silent
LONGEST_SECONDS = 300.0  # how long a worker may take; then this process starts the session
ENDING_SECONDS = 20.0  # how long a worker may take to end after a signal, session included


def try_daemon(argv: list[str], shim: Shim, terminate: Terminate) -> bool:
    """Let the daemon start the session of `argv`, the arguments after `aws`, and become the plugin.

    `shim` as for `ssmgate.__main__.run`. `terminate` is called with the id of a session whose
    worker died, and both. Exits as a cold start would if access is denied or the start fails.
    Returns if this process has to start the session: True if no daemon is running.
    """
    environ = os.environ
    if not may_ask(environ):
        return False
    try:
        for number in (0, 2):  # both are sent, and the number of a closed one would be reused
            os.fstat(number)
        own = peer.own_facts()
        cwd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (peer.Unproven, OSError):
        return False
    fingerprint = location.environment_fingerprint(environ, own)
    try:
        sock = connected(environ["HOME"], fingerprint, own)
        if sock is None:
            return True
        try:
            _Request(sock, own, terminate).go(fingerprint, argv, shim, cwd)
        finally:
            sock.close()
    except (Broken, peer.Unproven, OSError):
        pass
    finally:
        os.close(cwd)
    return False


def connected(
    home: str, fingerprint: list[str], own: Mapping[str, str], seconds: float = HELLO_SECONDS
) -> _socket.socket | None:
    """Return a connection to this user's daemon with `fingerprint`, None if none is running.

    It must be confined as this process, whose facts are `own`, and answer within `seconds`.
    Raises `Broken`, `peer.Unproven` or `OSError` if it is not, or does not.
    """
    path = os.path.join(home, location.DIRECTORY)
    try:
        directory = _opened(home, path)
    except (Broken, OSError):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        # Set before connecting, so that the kernel attaches the sender's id to every message.
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        try:
            name = location.socket_name(fingerprint, directory)
            sock.connect(location.address(directory, path, name))
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            return None
        _greet(sock, own)
        sock.settimeout(SILENT_SECONDS)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)
    return sock


def _opened(home: str, path: str) -> int:
    """Return a descriptor of the socket's directory. Raise `Broken` or `OSError` if insecure.

    `private_directory` decides that; the usual case is decided here, as its import takes time.
    """
    at, plain = path, os.path.realpath(path) == path
    while plain and at != "/":
        at = os.path.dirname(at)
        known = os.stat(at)
        others = known.st_mode & 0o022 and not known.st_mode & 0o1000  # not sticky
        plain = known.st_uid in (0, os.geteuid()) and not others
    if plain:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        known = os.fstat(directory)
        if known.st_uid == os.geteuid() and known.st_mode & 0o777 == 0o700:
            return directory
        os.close(directory)
    from ssmgate.gate.system import private_directory

    try:
        return private_directory.open_directory(home, location.DIRECTORY)
    except private_directory.InsecurePermissions:
        raise Broken from None


def _greet(sock: _socket.socket, own: Mapping[str, str]) -> None:
    peer.connected(sock, own).close()  # which also has the ids of this user
    if protocol.receive_noted(sock)[:2] != (protocol.HELLO, [[protocol.PROTOCOL]]):
        raise Broken


def worker(sock: _socket.socket, own: Mapping[str, str]) -> tuple[int, str]:
    """Wait for the worker, verify it, and return its process id and its nonce for the request."""
    until = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < until:
        match protocol.receive_noted(sock):
            case protocol.CHALLENGE, [[challenge]], pid, _:
                peer.verify_worker(sock, pid, own)
                return pid, peer.nonce(pid, challenge)
            case kind, _, _, _ if kind != protocol.BEAT:
                break
    raise Broken


def may_ask(environ: Mapping[str, str]) -> bool:
    """Return whether the environment allows to use the daemon. The worker checks the rest."""
    return (
        environ.get("SSMGATE_DAEMON") != "off"
        and os.path.isabs(environ.get("HOME", ""))
        and os.getuid() == os.geteuid()
        and os.getgid() == os.getegid()
        and _nothing_is_locked()
    )


def _nothing_is_locked() -> bool:
    """Return whether the system's configuration certainly has no `locked`, not even escaped."""
    try:
        file = os.open(SYSTEM_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        text = os.read(file, 1 << 16)
        return not os.read(file, 1) and b"locked" not in text and b"\\" not in text
    except OSError:
        return False
    finally:
        os.close(file)


class _Request:
    """The request for one start. Signals that arrive are forwarded to the worker."""

    def __init__(self, sock: _socket.socket, own: Mapping[str, str], terminate: Terminate) -> None:
        self._sock, self._own, self._terminate = sock, own, terminate
        self._worker, self._session = 0, ""  # the session: started by it, and not terminated
        self._signal = 0  # the first that arrived
        self._waits = self._forwards = self._forwarded = False

    def go(self, fingerprint: list[str], argv: list[str], shim: Shim, cwd: int) -> None:
        """Become the plugin, exit, or return or raise with this process unchanged."""
        variables = [f"{name}={text}" for name, text in os.environ.items()]
        before = takeover.hold(self._note)
        try:
            self._waits = True
            self._worker, nonce = worker(self._sock, self._own)
            self._waits = False
            lists = ([nonce], fingerprint, shim or (), argv, variables)
            request = protocol.packed(protocol.REQUEST, *lists)
            protocol.send_with_descriptors(self._sock, request, (0, 2, cwd))
            self._forwards = True  # not earlier: SIGNAL would be sent in the middle of the request
            if not self._signal:
                self._listen()
        finally:
            if self._session:
                self._terminate(self._session, argv, shim)
            takeover.restore(before)
            if self._signal:
                from ssmgate.daemon import ending

                ending.die_of(self._signal)

    def _note(self, number: int, _frame: object) -> None:
        self._signal = self._signal or number
        if self._waits:
            raise Broken  # nothing is requested yet
        if self._forwards:
            self._forward()

    def _forward(self) -> None:
        self._forwarded = True
        self._send(protocol.SIGNAL, [str(self._signal)])

    def _send(self, kind: bytes, texts: list[str]) -> None:
        try:
            self._sock.settimeout(ENDING_SECONDS if self._signal else SILENT_SECONDS)
            self._sock.sendall(protocol.packed(kind, texts))
        except OSError:
            pass  # `_listen` reads the worker's last message, and fails if there is none

    def _listen(self) -> None:
        handover = None
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            kind, lists, _, _ = protocol.receive_noted(self._sock, self._worker)
            if kind == protocol.END:
                from ssmgate.daemon import ending

                ending.end(lists, self._signal)
            elif kind == protocol.COLD:
                self._session = ""
                return
            elif kind == protocol.STARTED:
                self._session = lists[0][0]
            elif kind == protocol.HANDOVER:
                handover = _handover(lists)
                if wrapped := handover[3] or os.isatty(0):  # before TAKE: the import may fail
                    from ssmgate.gate.plugin import restore_terminal
                self._send(protocol.TAKE, [])
            elif kind == protocol.GO and handover is not None:
                path, argv, ignored = *handover[:2], takeover.IGNORED
                if wrapped:
                    path, argv, ignored = restore_terminal.wrap(*handover)
                self._take_over((path, argv, handover[2]), ignored)
            elif kind != protocol.BEAT:
                raise Broken
        raise Broken

    def _take_over(self, command: Command, ignored: Sequence[int]) -> None:
        """Execute the plugin. If that fails, the worker terminates the session and reports it."""
        self._forwards = False
        try:
            takeover.execute(*command, self._check, ignored)
        except Broken:
            pass
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "invalid arguments") or str(error)
            self._send(protocol.FAILED, [why])
        self._forwards = True
        if self._signal and not self._forwarded:
            self._forward()

    def _check(self) -> None:
        if self._signal:
            raise Broken


def _handover(lists: list[list[str]]) -> tuple[str, tuple[str, ...], dict[str, str], list[str]]:
    try:
        (path,), argv, variables, afterwards = lists
        return path, tuple(argv), dict(v.split("=", 1) for v in variables), afterwards
    except ValueError:
        raise Broken from None
