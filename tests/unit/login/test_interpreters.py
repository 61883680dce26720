"""What the kernel executes for a program: interpreters of scripts, and ELF's loader."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ssmgate.login.interpreters import executed

LOADER = b"/lib/ld.so\0"
# The kinds of program headers: loaded, its loader, of another kind.
LOAD, INTERP, NOTE = 1, 3, 4


def elf(*kinds: int, wide: bool = True, order: str = "<", size: int | None = None) -> bytes:
    """Return the start of an ELF file with program headers of these kinds."""
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2)) + bytes(10)
    begin, each = (64, 56) if wide else (52, 32)
    at = begin + each * len(kinds)
    head = bytearray(begin)
    head[:16] = ident
    struct.pack_into(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28, begin)
    counts = (each if size is None else size, len(kinds))
    struct.pack_into(f"{order}HH", head, 54 if wide else 42, *counts)
    for kind in kinds:
        head += (
            struct.pack(f"{order}IIQQQQQQ", kind, 0, at, 0, 0, len(LOADER), 0, 0)
            if wide
            else struct.pack(f"{order}IIIIIIII", kind, at, 0, 0, len(LOADER), 0, 0, 0)
        )
    return bytes(head) + LOADER + b"more"


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_dynamic_program_needs_loader(tmp_path: Path, wide: bool, order: str) -> None:
    path = tmp_path / "program"
    path.write_bytes(elf(LOAD, INTERP, NOTE, wide=wide, order=order))

    assert executed(str(path), "") == (str(path), "/lib/ld.so")


@pytest.mark.parametrize(
    "content",
    [
        elf(LOAD, NOTE),
        elf(INTERP)[:80],
        elf(INTERP, size=0),
        b"\x7fELF",
        b"",
        b"#!",
        b"#!\n/bin/sh\n",
        b"#! \t\n",
        b"MZ",
        b"echo",
    ],
)
def test_other_files_need_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)

    assert executed(str(path), "") == (str(path),)


def test_missing_file_needs_nothing(tmp_path: Path) -> None:
    assert executed(str(tmp_path / "none"), "") == (str(tmp_path / "none"),)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("#!@/shell", ["@/shell", "/lib/ld.so"]),
        ("#! @/shell -e", ["@/shell", "/lib/ld.so"]),
        ("#!@/env shell", ["@/env", "@/shell", "/lib/ld.so"]),
        ("#!@/env -S A=1 shell -x", ["@/env", "@/shell", "/lib/ld.so"]),
        ("#!@/env none", ["@/env"]),
        ("#!@/env", ["@/env"]),
        ("#!@/script", ["@/script", "@/shell", "/lib/ld.so"]),
        ("#!@/none", ["@/none"]),
        ("#!@/program", []),
    ],
)
def test_script_needs_interpreter(tmp_path: Path, line: str, found: list[str]) -> None:
    here = str(tmp_path)
    for name, content in (
        ("shell", elf(INTERP)),
        ("env", elf(LOAD)),
        ("script", f"#!{here}/shell\n".encode()),
        ("program", f"{line}\nexit\n".replace("@", here).encode()),
    ):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)

    assert list(executed(f"{here}/program", here))[1:] == [p.replace("@", here) for p in found]
