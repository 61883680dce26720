"""The daemon itself: it waits for connections, and forks a worker for each.

Only the worker reads what a client sends. The daemon reads nothing from other processes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from typing import NoReturn

from ssmgate.daemon import preload, protocol, worker
from ssmgate.daemon.instance_lock import Place
from ssmgate.gate.system import takeover

MAX_WORKERS = 16
"""Workers that run at the same time. Each needs some ten megabytes of memory."""

MAX_QUEUED = 256
"""Requests that wait for a worker. Further clients are rejected and make a cold start."""

WAIT_SECONDS = 10
"""How long a request waits for a worker before it is rejected."""

_OLDEST_WORKER_SECONDS = 600
_CHECK_SECONDS = 60
_NONE_MADE = 1  # a worker's exit status
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Daemon:
    """A daemon at `place`. It loads what a start needs, and listens from `serve` on.

    `idle_seconds` may be infinite.
    """

    def __init__(self, place: Place, idle_seconds: float) -> None:
        self.place = place
        self.idle_seconds = idle_seconds
        self._pid = os.getpid()
        self._driver = preload.everything()
        self._program = preload.program()
        self._awake, self._wake = socket.socketpair()
        self._waiting: deque[tuple[float, socket.socket]] = deque()
        self._workers: dict[int, float] = {}
        self._made = 0
        self._stops = False
        self._began = self._last = time.monotonic()

    def serve(self) -> None:
        """Serve requests. Returns after a signal, when idle, or when the program was changed."""
        gc.collect()
        gc.disable()
        # Objects that exist now are never collected, so that workers share their pages.
        gc.freeze()
        self._awake.setblocking(False)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in (*_ENDING, signal.SIGCHLD):
            signal.signal(number, self._note)
        self._listening = self.place.listen()
        mine = self.place.inode()
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._awake, selectors.EVENT_READ)
            while not self._stops:
                selector.select(self._patience())
                self._drain_wakeups()
                self._reap_workers()
                self._accept()
                self._fork_workers()
                if self._is_idle() or self.place.inode() != mine:
                    self._stops = True
        signal.set_wakeup_fd(-1)
        for sock in (self._listening, self._awake, self._wake, *(one for _, one in self._waiting)):
            sock.close()
        if self.place.inode() == mine:
            os.unlink(self.place.name, dir_fd=self.place.directory)

    def _note(self, number: int, _frame: object) -> None:
        self._stops = self._stops or number in _ENDING

    def _patience(self) -> float:
        if self._waiting:
            return worker.BEAT_SECONDS
        left = self._last + self.idle_seconds - time.monotonic()
        return min(_CHECK_SECONDS, max(left, 0.05))

    def _is_idle(self) -> bool:
        if self._workers or self._waiting:
            self._last = time.monotonic()
        return time.monotonic() - self._last >= self.idle_seconds

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._awake.recv(4096):
                pass

    def _reap_workers(self) -> None:
        now = time.monotonic()
        for pid, since in list(self._workers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._workers[pid]
                self._made -= os.waitstatus_to_exitcode(status) == _NONE_MADE
            elif now - since > _OLDEST_WORKER_SECONDS:
                # SIGTERM first: the worker terminates a session that it has started.
                late = now - since > 2 * _OLDEST_WORKER_SECONDS
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                os.kill(pid, signal.SIGCONT)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                break
            except OSError:  # for example no more descriptors: the connection stays in the queue
                break
            self._last = time.monotonic()
            if preload.program() != self._program:
                # Another release was installed, or a file was changed: the loaded one is outdated.
                self._stops = True
            if self._stops or not _is_same_user(sock) or len(self._waiting) >= MAX_QUEUED:
                sock.close()
            elif _send_at_once(sock, protocol.packed(protocol.HELLO, [protocol.PROTOCOL])):
                self._waiting.append((self._last, sock))

    def _fork_workers(self) -> None:
        while self._waiting and len(self._workers) < MAX_WORKERS:
            _, sock = self._waiting.popleft()
            try:
                pid = os.fork()
            except OSError:  # there are too many processes: the client makes a cold start
                sock.close()
                continue
            if not pid:
                self._become_worker(sock)
            self._workers[pid] = time.monotonic()
            self._made += 1
            sock.close()
        now = time.monotonic()
        for since, sock in list(self._waiting):
            if now - since > WAIT_SECONDS:
                sock.close()
            elif _send_at_once(sock, protocol.packed(protocol.BEAT)):
                continue
            self._waiting.remove((since, sock))

    def _become_worker(self, sock: socket.socket) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            # Signals of the daemon's terminal are not for its clients' starts.
            os.setsid()
            # Not what the daemon inherited: the client's ignored signals are set later.
            for number in (*takeover.ENDING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for other in (
                self._listening,
                self._awake,
                self._wake,
                *(sock for _, sock in self._waiting),
            ):
                other.close()
            for descriptor in (self.place.directory, self.place.lock):
                os.close(descriptor)
            made = worker.answer(sock, self.place, self._status(), self._driver)
        except BaseException:
            os._exit(255)
        os._exit(0 if made else _NONE_MADE)

    def _status(self) -> list[str]:
        return [
            str(self._pid),
            str(int(time.monotonic() - self._began)),
            str(self._made),
            str(len(self._workers) + len(self._waiting)),
        ]


def _is_same_user(sock: socket.socket) -> bool:
    """Return whether the process at the other end is this user's, according to the kernel."""
    try:
        known = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return False
    return int.from_bytes(known[4:8], sys.byteorder) == os.geteuid()  # struct ucred: pid, uid, gid


def _send_at_once(sock: socket.socket, message: bytes) -> bool:
    """Send `message` without blocking, and return whether that succeeded."""
    try:
        sock.setblocking(False)
        return sock.send(message) == len(message)
    except OSError:
        sock.close()
        return False
