"""Try a release of awscli, and print what it changes for ssmgate.

    python tools/try_awscli.py 1.46.4          or: make awscli VERSION=1.46.4

Installs the release into an environment of its own, in a temporary directory, with a copy of this
source tree whose bound includes it. Prints which service models differ, and the results of the
contract test and of the oracle. The other packages are those of this environment. Ends with 1 if
a test fails, with 2 if the release cannot be installed. Changes nothing here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssmgate.gate.system import supported

ROOT = Path(__file__).parents[1]
MODELS = Path("src", "ssmgate", "gate", "aws", "service_models.json")
BOUND = {
    Path("pyproject.toml"): "awscli>={},<{}",
    Path("src", "ssmgate", "gate", "system", "supported.py"): '("{}", "{}")',
}
TESTS = {
    "contract": "tests/unit/test_awscli_contract.py",
    "start without reduced models": "tests/unit/gate/aws/test_service_models.py",
    "oracle": "tests/functional/test_oracle.py",
}


def main(release: str) -> int:
    """Try `release`. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="ssmgate-awscli-") as directory:
        tree, prefix = Path(directory, "ssmgate"), Path(directory, "venv")
        _copy(tree)
        _widen(tree, release)
        print(f"installing awscli {release} …", flush=True)
        if not _install(prefix, tree, release):
            return 2
        python = str(prefix / "bin" / "python")
        before = json.loads((tree / MODELS).read_text())
        built = subprocess.run([str(prefix / "bin" / "ssmgate"), "models", "build"], cwd=tree)
        if built.returncode != 0:
            print("models: they cannot be built: see above")
            return 1
        after = json.loads((tree / MODELS).read_text())
        _print_models(before, after)
        failed = [name for name, test in TESTS.items() if not _passes(python, tree, name, test)]
    print(
        f"\nawscli {release}: " + (f"fails: {', '.join(failed)}" if failed else "can be admitted")
    )
    return 1 if failed else 0


def _copy(tree: Path) -> None:
    """Copy the files of this checkout, with changes that are not committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    # Rows of the tests are drawn by the id of a commit.
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)


def _widen(tree: Path, release: str) -> None:
    """Change the bound of `tree` to include `release`."""
    oldest, newer = supported.AWSCLI
    numbers = _numbers(release)
    if numbers < _numbers(oldest):
        changed = (release, newer)
    elif numbers >= _numbers(newer):
        changed = (oldest, f"{numbers[0]}.{numbers[1] + 1}")
    else:
        return
    for name, form in BOUND.items():
        text = (tree / name).read_text()
        bound = form.format(oldest, newer)
        if bound not in text:
            raise SystemExit(f"{name} does not have the bound {bound}")
        (tree / name).write_text(text.replace(bound, form.format(*changed)))
    print(f"outside the bound >={oldest},<{newer}: tried as >={changed[0]},<{changed[1]}")


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", release)[:3]]


def _install(prefix: Path, tree: Path, release: str) -> bool:
    venv.create(prefix, symlinks=True)
    python = str(prefix / "bin" / "python")
    (site,) = prefix.glob("lib/python*/site-packages")
    # After its own packages, those of this environment.
    (site / "zz_others.pth").write_text(f"{tree / 'src'}\n{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    install = [*pip, "install", "-q"]
    steps = (
        [*install, "--no-deps", "--ignore-installed", f"awscli=={release}"],
        [*install, "--no-deps", "--ignore-installed", "-e", str(tree)],
    )
    return all(subprocess.run(step).returncode == 0 for step in steps)


def _print_models(before: dict[str, Any], after: dict[str, Any]) -> None:
    if before["made_from"] == after["made_from"]:
        print(f"models: the same data as awscli {before['awscli']}")
        return
    changes = [line for line in _changes(before, after) if line.split()[1] not in _HEADER]
    shown = "\n  ".join(changes or ["nothing that a start needs"])
    print(f"models: changed since awscli {before['awscli']}:\n  {shown}")


_HEADER = ("awscli", "made_from")


def _changes(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each value that was added, removed or changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            inside = f"{path} > {name}" if path else name
            if name not in before:
                yield f"added {inside}"
            elif name not in after:
                yield f"removed {inside}"
            else:
                yield from _changes(before[name], after[name], inside)
    elif before != after:
        yield f"changed {path}"


def _passes(python: str, tree: Path, name: str, test: str) -> bool:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-n", "0", "--full", "-p", "no:cacheprovider", test],
        cwd=tree, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    print("\n".join([f"{name}: {(ran.stdout.splitlines() or ['nothing ran'])[-1]}", *lines]))
    if ran.returncode not in (0, 1):
        print(ran.stdout + ran.stderr)
    return ran.returncode == 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"[0-9]+(\.[0-9]+)+", sys.argv[1]):
        sys.exit("usage: make awscli VERSION=1.46.4")
    sys.exit(main(sys.argv[1]))
