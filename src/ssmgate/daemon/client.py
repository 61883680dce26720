"""Ask a daemon for a start: all that the asking process does, up to its becoming the plugin."""

from __future__ import annotations

import _socket
import os
import time

from ssmgate.daemon import location, peer, protocol
from ssmgate.daemon.protocol import Broken
from ssmgate.gate.exits import INTERRUPTED
from ssmgate.gate.plugin import restore_terminal
from ssmgate.gate.system import private_directory, takeover
from ssmgate.gate.system.trusted_files import SYSTEM_FILE, InsecurePermissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
    from typing import NoReturn
else:
    import _signal

HELLO_SECONDS = 1.0
"""A daemon that has not answered by then is not waited for."""

SILENT_SECONDS = 5.0
"""One that is at work says so each second. After such a silence it is left to itself."""

LONGEST_SECONDS = 300.0
"""A start that is not made by then is made anew, however often somebody is said to be at work."""

ENDING_SECONDS = 20.0
"""After a signal: how long its end may take, with a session to terminate."""

_PATH_PREFIXES = ("AWS_", "SSMGATE_", "XDG_")
_PATH_VARIABLES = (
    "HOME", "PATH", "TMPDIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "SSLKEYLOGFILE",
)  # fmt: skip


FORWARDED = takeover.ENDING
"""Signals that are the start's: they end the one who asks, after the end of its session."""


def try_daemon(argv: list[str], shim: tuple[str, str] | None = None) -> bool:
    """Let a daemon make the start of `argv`, the words after `aws`, and become the plugin.

    `shim` as for `ssmgate.__main__.run`. If the daemon refuses, this process exits as it would
    have by itself. It returns where it has to make the start: whether a daemon could have been
    asked, had there been one.
    """
    environ = os.environ
    if not may_ask(argv, environ):
        return False
    try:
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
    """Return a connection to this user's daemon for the surroundings `said`, or None without one.

    The process that listens is confined as `own` says, and has `seconds` to answer. Raises
    `Broken`, `peer.Unproven` or `OSError` where there is one that does not answer as it should.
    """
    path = os.path.join(home, location.FOLDER)
    try:
        folder = private_directory.open_directory(home, location.FOLDER)
    except (InsecurePermissions, OSError):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        # Before it is connected, so that the kernel notes on every message who wrote it.
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        try:
            sock.connect(location.address(folder, path, location.socket_name(said)))
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            return None
        _greet(sock, own)
        sock.settimeout(SILENT_SECONDS)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(folder)
    return sock


def _greet(sock: _socket.socket, own: Mapping[str, str]) -> None:
    if not protocol.peer_is_same_user(sock):
        raise Broken
    peer.connected(sock, own).close()
    if protocol.receive(sock) != (protocol.HELLO, [[protocol.PROTOCOL]]):
        raise Broken


def worker(sock: _socket.socket, own: Mapping[str, str]) -> tuple[int, str]:
    """Wait for the worker, verify that it is confined as `own` says, and return its process id.

    The string is the nonce that the request has to contain. Raises `Broken`, `peer.Unproven` or
    `OSError` where no worker is verified.
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


def may_ask(argv: list[str], environ: Mapping[str, str]) -> bool:
    """Whether this start could be another process's. What is not sure is not.

    Both sides call it: the process that asks, and the worker in its place, after it has taken over
    directory, environment variables and descriptors (`environ` are then also `os.environ`).
    """
    return (
        environ.get("SSMGATE_DAEMON") != "off"
        and os.path.isabs(environ.get("HOME", ""))
        and os.getuid() == os.geteuid()
        and os.getgid() == os.getegid()
        and not any(map(_is_our_own, argv))
        and not any(_names_a_descriptor(*variable) for variable in environ.items())
        and _nothing_is_locked()
        and _is_open(0)
        and _is_open(2)
    )


def _is_our_own(word: str) -> bool:
    """Whether a word asks for something that only the process at the terminal has.

    That is a descriptor's path, and what is printed: help, a skeleton, the version, a traceback.
    Options may be shortened. What can be read only once must not be read by a daemon that then
    cannot go on.
    """
    return (
        "/dev/" in word
        or "/proc/" in word
        or ("file" in word and "://" in word and not _is_a_file(word.partition("://")[2]))
        or word == "help"
        or word.startswith(("--g", "--v"))
        or (len(word) > 2 and "--debug".startswith(word))
    )


def _is_a_file(path: str) -> bool:
    """Whether the CLI would find a regular file at `path`."""
    return os.path.isfile(os.path.expandvars(os.path.expanduser(path)))


def _names_a_descriptor(name: str, text: str) -> bool:
    """Whether an environment variable may lead to a descriptor: AWS_CONFIG_FILE=<(…).

    Those are considered that name files, directories or programs which a start opens.
    """
    if not (name.startswith(_PATH_PREFIXES) or name in _PATH_VARIABLES):
        return False
    return any(map(_is_below_dev_or_proc, text.split(os.pathsep)))


def _is_below_dev_or_proc(path: str) -> bool:
    try:
        # As the CLI expands paths. A relative one may be below, too.
        absolute = os.path.abspath(os.path.expandvars(os.path.expanduser(path)))
    except OSError:  # the working directory was deleted
        return True
    first = absolute.lstrip("/").partition("/")[0]
    return first in ("dev", "proc") and absolute != os.devnull


def _nothing_is_locked() -> bool:
    """Whether the system's configuration surely locks no key: it has no such word, nor an escape.

    The daemon reads it too. This holds for one that is not what it seems.
    """
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


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class _Request:
    """One start, as it is asked for. Signals that come are the daemon's to heed."""

    def __init__(self, sock: _socket.socket, own: Mapping[str, str]) -> None:
        self._sock = sock
        self._own = own
        self._worker = 0
        self._came = 0
        self._waits = False
        self._told = False
        self._forwards = False

    def go(self, said: list[str], argv: list[str], shim: tuple[str, str] | None, here: int) -> None:
        """Become the plugin, or exit, or return with everything as it was.

        Raises `Broken`, `peer.Unproven` or `OSError` where the daemon does not do as it should.
        """
        variables = [f"{name}={text}" for name, text in os.environ.items()]
        before = takeover.hold(self._note)
        try:
            self._waits = True
            self._worker, nonce = worker(self._sock, self._own)
            self._waits = False
            request = protocol.packed(protocol.REQUEST, [nonce], said, shim or (), argv, variables)
            protocol.send_with_descriptors(self._sock, request, (0, 2, here))
            self._forwards = True  # not before: it would stand in the midst of the request
            if not self._came:
                self._listen()
        finally:
            takeover.restore(before)
            if self._came:
                _die_of(self._came)

    def _note(self, number: int, _frame: object) -> None:
        self._came = self._came or number
        if self._waits:
            raise Broken  # nothing was asked yet
        if self._forwards:
            self._tell()

    def _tell(self) -> None:
        self._told = True
        try:
            self._sock.settimeout(ENDING_SECONDS)
            self._sock.sendall(protocol.packed(protocol.SIGNAL, [str(self._came)]))
        except OSError:
            pass  # met again where it is listened

    def _listen(self) -> None:
        handover = None
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            kind, lists, _, _ = protocol.receive_noted(self._sock, self._worker)
            if kind == protocol.END:
                status = _status(lists)
                if self._came and 0 <= status != INTERRUPTED:
                    return  # and end by the signal: it came when the worker had ended
                _end(status)
            elif kind == protocol.COLD:
                return
            elif kind == protocol.HANDOVER:
                handover = _handover(lists)
                self._sock.sendall(protocol.packed(protocol.TAKE))
            elif kind == protocol.GO and handover is not None:
                self._take_over(*handover)
            elif kind != protocol.BEAT:
                raise Broken
        raise Broken

    def _take_over(self, path: str, words: tuple[str, ...], environ: dict[str, str]) -> None:
        """Execute the plugin. If that fails, the daemon ends the session, and says so."""
        if restore_terminal.is_ours():
            path, words = restore_terminal.kept(path, words, environ)
        self._forwards = False
        try:
            takeover.execute(path, words, environ, self._check)
        except _Came:
            why = ""
        except OSError as error:
            why = error.strerror or str(error)
        except ValueError:
            why = "invalid arguments"
        if why:
            self._sock.sendall(protocol.packed(protocol.FAILED, [why]))
        self._forwards = True
        if self._came and not self._told:
            self._tell()

    def _check(self) -> None:
        if self._came:
            raise _Came


class _Came(Exception):
    """A signal came before the plugin was executed."""


def _handover(lists: list[list[str]]) -> tuple[str, tuple[str, ...], dict[str, str]]:
    try:
        (path,), words, variables = lists
        return path, tuple(words), dict(one.split("=", 1) for one in variables)
    except ValueError:
        raise Broken from None


def _status(lists: list[list[str]]) -> int:
    try:
        return int(lists[0][0])
    except (IndexError, ValueError):
        raise Broken from None


def _end(status: int) -> NoReturn:
    if status < 0:
        _die_of(-status)
    os._exit(status)


def _die_of(number: int) -> NoReturn:
    if number == _signal.SIGINT:
        import select

        if select.select([], [2], [], 0)[1]:  # not where it would wait for a reader
            os.write(2, b"\n")
        os._exit(INTERRUPTED)
    takeover.die_of(number)
