"""Which user owns a connection: with a real one and with the kernel's table."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ssmgate.sandbox.agent import peer

HEADER = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout\n"
)
pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="the kernel has no table of connections"
)


def test_recognises_own_connection() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert peer.is_ours(client.getsockname(), server.getsockname())
        # The other way round it is another row, of the accepted socket: not there yet.
        assert not peer.is_ours(("127.0.0.1", 1), server.getsockname())


@pytest.mark.parametrize(("user", "ours"), [(os.geteuid(), True), (os.geteuid() + 1, False)])
def test_reads_row_of_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, ours: bool
) -> None:
    ends = [peer._written(*end) for end in (("127.0.0.1", 4660), ("127.0.0.1", 22136))]
    assert ends[0].endswith(":1234")
    row = f"   0: {ends[0]} {ends[1]} 01 00000000:00000000 00:00000000 00000000 {user} 0 1\n"
    (tmp_path / "tcp").write_text(HEADER + row)
    monkeypatch.setattr(peer, "_TABLE", tmp_path / "tcp")
    assert peer.is_ours(("127.0.0.1", 4660), ("127.0.0.1", 22136)) is ours


def test_unknown_without_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peer, "_TABLE", tmp_path / "missing")
    assert peer.is_ours(("127.0.0.1", 1), ("127.0.0.1", 2))
