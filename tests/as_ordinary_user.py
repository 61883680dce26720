"""Run the daemon's tests, or the benchmark, as a user without privileges, also as root.

    PYTHONPATH=tests python tests/as_ordinary_user.py [ARGUMENTS OF PYTEST …]
    PYTHONPATH=tests python tests/as_ordinary_user.py bench [--quick]

Root's processes pass permission checks that those of a user do not. Both run in a virtual
environment that the user can execute, with the libraries of this one. Exits as they do.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fakes.capabilities import ORDINARY, become_ordinary, ordinary_directory, ordinary_python

TESTS = Path(__file__).resolve().parent
BENCHMARKS = TESTS.parent / "benchmarks"
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


def pytest(directory: Path) -> list[str]:
    """Return the arguments of Python that run the tests."""
    files = sys.argv[1:] or [str(TESTS / file) for file in FILES]
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={directory}/tmp/b", *files]


def main() -> int:
    """Run the tests or the benchmark, and return the exit status."""
    directory = ordinary_directory()
    try:
        python = environment(directory)
        for name in ("home", "tmp", "hypothesis", "results"):
            (directory / name).mkdir()
            if os.geteuid() == 0:
                os.chown(directory / name, ORDINARY, ORDINARY)
        bench = sys.argv[1:2] == ["bench"]
        if bench:  # the user cannot store what Python compiles, so each start would compile anew
            compileall.compile_dir(TESTS.parent / "src", quiet=1)
        command = [str(BENCHMARKS / "run.py"), *sys.argv[2:]] if bench else pytest(directory)
        status = subprocess.run(
            [python, *command],
            env={
                "HOME": f"{directory}/home",
                "TMPDIR": f"{directory}/tmp",
                "HYPOTHESIS_STORAGE_DIRECTORY": f"{directory}/hypothesis",
                "RESULTS": f"{directory}/results",
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=TESTS.parent,
            preexec_fn=become_ordinary,
            check=False,
        ).returncode
        for result in (directory / "results").iterdir():
            (BENCHMARKS / result.name).write_bytes(result.read_bytes())
        return status
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
