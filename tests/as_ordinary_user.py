"""Run the daemon's tests as a user without privileges, also where this process is root's.

    PYTHONPATH=tests python tests/as_ordinary_user.py [ARGUMENTS OF PYTEST …]

Root's processes pass permission checks that those of a user do not. The tests run in a virtual
environment that the user can execute, with the libraries of this one. Exits as pytest does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from fakes.capabilities import ORDINARY, become_ordinary, ordinary_directory, ordinary_python

TESTS = Path(__file__).parent
FILES = (
    *(f"functional/test_daemon{name}.py" for name in ("", "_ends", "_false", "_without")),
    "unit/daemon",
)
_PROGRAMS = ("aws", "ssmgate", "ssm-start-session")


def environment(directory: Path) -> Path:
    """Make a virtual environment in `directory`, and return its Python."""
    python, _ = ordinary_python()
    subprocess.run([python, "-m", "venv", "--without-pip", directory / "venv"], check=True)
    (site,) = (directory / "venv" / "lib").glob("python3*/site-packages")
    libraries = [path for path in sys.path if path.endswith(("src", "-packages"))]
    (site / "libraries.pth").write_text("\n".join(libraries))
    made = directory / "venv" / "bin"
    for name in _PROGRAMS:
        script = (Path(sys.executable).parent / name).read_text().partition("\n")[2]
        (made / name).write_text(f"#!{made}/python\n{script}")
        (made / name).chmod(0o755)
    return made / "python"


def main() -> int:
    """Run the tests, and return the exit status of pytest."""
    directory = ordinary_directory()
    try:
        python = environment(directory)
        for name in ("home", "tmp", "hypothesis"):
            (directory / name).mkdir()
            if os.geteuid() == 0:
                os.chown(directory / name, ORDINARY, ORDINARY)
        files = sys.argv[1:] or [str(TESTS / file) for file in FILES]
        pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={directory}/tmp/b")
        return subprocess.run(
            [python, *pytest, *files],
            env={
                "HOME": f"{directory}/home",
                "TMPDIR": f"{directory}/tmp",
                "HYPOTHESIS_STORAGE_DIRECTORY": f"{directory}/hypothesis",
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=TESTS.parent,
            preexec_fn=become_ordinary,
            check=False,
        ).returncode
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
