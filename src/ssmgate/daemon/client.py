"""Let the daemon make a start: what the calling process does until it becomes the plugin."""

from __future__ import annotations

import _socket
import os
import time

from ssmgate.daemon import location, peer, protocol
from ssmgate.daemon.protocol import Broken
from ssmgate.gate.system import SYSTEM_FILE, takeover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HELLO_SECONDS = 1.0  # how long a daemon may take to answer
SILENT_SECONDS = 5.0  # how long a worker may be silent, which sends BEAT each second
LONGEST_SECONDS = 300.0  # how long a start may take; then this process makes it
ENDING_SECONDS = 20.0  # how long the end may take after a signal, with a session to terminate


def try_daemon(argv: list[str], shim: tuple[str, str] | None = None) -> bool:
    """Let the daemon make the start of `argv`, the arguments after `aws`, and become the plugin.

    `shim` as for `ssmgate.__main__.run`. Exits as the start would if that is denied or fails.
    Returns if this process has to make the start: whether only a daemon is missing.
    """
    environ = os.environ
    if not may_ask(environ):
        return False
    try:
        for number in (0, 2):  # they are sent, and the number of a closed one would be used again
            os.fstat(number)
        own = peer.own_facts()
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (peer.Unproven, OSError):
        return False
    said = location.environment_fingerprint(environ, own)
    try:
        sock = connected(environ["HOME"], said, own)
        if sock is None:
            return True
        try:
            _Request(sock, own).go(said, argv, shim, here)
        finally:
            sock.close()
    except (Broken, peer.Unproven, OSError):
        pass
    finally:
        os.close(here)
    return False


def connected(
    home: str, said: list[str], own: Mapping[str, str], seconds: float = HELLO_SECONDS
) -> _socket.socket | None:
    """Connect to this user's daemon with the fingerprint `said`, None without one.

    It is confined as `own` says, and has `seconds` to answer. Raises `Broken`, `peer.Unproven` or
    `OSError` where it does not answer as it should.
    """
    path = os.path.join(home, location.DIRECTORY)
    try:
        directory = _opened(home, path)
    except (Broken, OSError):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        # Before it is connected: so the kernel notes on every message who wrote it.
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        try:
            sock.connect(location.address(directory, path, location.socket_name(said)))
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
    """Open the socket's directory. Raises `Broken` or `OSError` if it is not this user's alone.

    The usual case of the rule that `private_directory` has, without links and without write
    permission for others, is decided here.
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
    if not protocol.peer_is_same_user(sock):
        raise Broken
    peer.connected(sock, own).close()
    if protocol.receive_noted(sock)[:2] != (protocol.HELLO, [[protocol.PROTOCOL]]):
        raise Broken


def worker(sock: _socket.socket, own: Mapping[str, str]) -> tuple[int, str]:
    """Wait for the worker, verify it, and return its process id and its nonce for the request.

    Raises `Broken`, `peer.Unproven` or `OSError` where it is not verified to be as `own` says.
    """
    until = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < until:
        match protocol.receive_noted(sock):
            case protocol.CHALLENGE, [[nonce]], pid, _:
                peer.verify_worker(sock, pid, own)
                return pid, nonce
            case kind, _, _, _ if kind != protocol.BEAT:
                break
    raise Broken


def may_ask(environ: Mapping[str, str]) -> bool:
    """Return whether another process may make this start. The worker looks at the rest of it."""
    return (
        environ.get("SSMGATE_DAEMON") != "off"
        and os.path.isabs(environ.get("HOME", ""))
        and os.getuid() == os.geteuid()
        and os.getgid() == os.getegid()
        and _nothing_is_locked()
    )


def _nothing_is_locked() -> bool:
    """Return whether the system's configuration certainly has no "locked", nor an escaped one."""
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
    """One start as it is requested. Signals that come are forwarded to the daemon."""

    def __init__(self, sock: _socket.socket, own: Mapping[str, str]) -> None:
        self._sock = sock
        self._own = own
        self._worker = 0
        self._came = 0
        self._waits = False
        self._told = False
        self._forwards = False

    def go(self, said: list[str], argv: list[str], shim: tuple[str, str] | None, here: int) -> None:
        """Become the plugin, exit, or return or raise with everything as it was."""
        variables = [f"{name}={text}" for name, text in os.environ.items()]
        before = takeover.hold(self._note)
        try:
            self._waits = True
            self._worker, nonce = worker(self._sock, self._own)
            self._waits = False
            request = protocol.packed(protocol.REQUEST, [nonce], said, shim or (), argv, variables)
            protocol.send_with_descriptors(self._sock, request, (0, 2, here))
            self._forwards = True  # not before: it would be in the middle of the request
            if not self._came:
                self._listen()
        finally:
            takeover.restore(before)
            if self._came:
                from ssmgate.daemon import ending

                ending.die_of(self._came)

    def _note(self, number: int, _frame: object) -> None:
        self._came = self._came or number
        if self._waits:
            raise Broken  # nothing is requested yet
        if self._forwards:
            self._tell()

    def _tell(self) -> None:
        self._told = True
        try:
            self._sock.settimeout(ENDING_SECONDS)
            self._sock.sendall(protocol.packed(protocol.SIGNAL, [str(self._came)]))
        except OSError:
            pass  # `_listen` meets it again

    def _listen(self) -> None:
        handover = None
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            kind, lists, _, _ = protocol.receive_noted(self._sock, self._worker)
            if kind == protocol.END:
                from ssmgate.daemon import ending

                ending.end(lists, self._came)
            elif kind == protocol.COLD:
                return
            elif kind == protocol.HANDOVER:
                handover = _handover(lists)
                if terminal := os.isatty(0):  # now: if the import fails, nothing was taken
                    from ssmgate.gate.plugin import restore_terminal
                self._sock.sendall(protocol.packed(protocol.TAKE))
            elif kind == protocol.GO and handover is not None:
                path, words, environ = handover
                if terminal and restore_terminal.is_ours():
                    path, words = restore_terminal.kept(path, words, environ)
                self._take_over(path, words, environ)
            elif kind != protocol.BEAT:
                raise Broken
        raise Broken

    def _take_over(self, path: str, words: tuple[str, ...], environ: dict[str, str]) -> None:
        """Execute the plugin. If that fails, the daemon terminates the session and says so."""
        self._forwards = False
        try:
            takeover.execute(path, words, environ, self._check)
        except Broken:
            pass  # a signal came
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "invalid arguments") or str(error)
            self._sock.sendall(protocol.packed(protocol.FAILED, [why]))
        self._forwards = True
        if self._came and not self._told:
            self._tell()

    def _check(self) -> None:
        if self._came:
            raise Broken


def _handover(lists: list[list[str]]) -> tuple[str, tuple[str, ...], dict[str, str]]:
    try:
        (path,), words, variables = lists
        return path, tuple(words), dict(one.split("=", 1) for one in variables)
    except ValueError:
        raise Broken from None
