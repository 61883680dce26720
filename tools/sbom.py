"""Write a software bill of materials, in CycloneDX, for the wheel in a directory.

    python tools/sbom.py dist          or: make packages

Installs the packages of constraints.txt, with their hashes, and the wheel into a clean environment,
and describes what is there with cyclonedx-py. That comes from the package index, into an
environment of its own. Checks that the result follows the schema and has each pinned package with
its license. Ends with 1 if it does not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

import constraints

ROOT = Path(__file__).parents[1]
SPEC = "1.6"
VALIDATE = f"""\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V{SPEC.replace(".", "_")}).validate_str(sys.stdin.read())
sys.exit(error and str(error))
"""


def named(bom: dict[str, Any], version: str) -> dict[str, Any]:
    """Return `bom` with the version of ssmgate, which pyproject.toml leaves to the build."""
    component = {
        **bom["metadata"]["component"],
        "version": version,
        "purl": f"pkg:pypi/ssmgate@{version}",
    }
    return {**bom, "metadata": {**bom["metadata"], "component": component}}


def problems(bom: Mapping[str, Any], pins: Mapping[str, tuple[str, list[str]]]) -> list[str]:
    """Return how `bom` differs from `pins`, a line for each package."""
    components = {canonicalize_name(part["name"]): part for part in bom["components"]}
    found = [f"{name}: not pinned" for name in sorted(components.keys() - pins.keys())]
    for name, (version, _) in pins.items():
        if (part := components.get(name)) is None:
            found.append(f"{name}: missing")
        elif part["version"] != version:
            found.append(f"{name}: {part['version']}, but {version} is pinned")
        elif not part.get("licenses"):
            found.append(f"{name}: no license")
    return found


def describe(wheel: Path, directory: Path) -> dict[str, Any]:
    """Return the bill of materials of `wheel`. `directory` is empty, and for temporary files.

    Raises `CalledProcessError`: the program that failed says why.
    """
    tools, clean, target = directory / "tools", directory / "clean", directory / "bom.json"
    venv.create(tools, with_pip=True, symlinks=True)
    venv.create(clean, symlinks=True)
    pip = [tools / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    into = [*pip, "--python", clean / "bin" / "python", "install", "--quiet"]
    for command in (
        [*pip, "install", "--quiet", "cyclonedx-bom>=7,<8"],
        [*into, "--require-hashes", "--only-binary", ":all:", "-r", ROOT / "constraints.txt"],
        [*into, "--no-deps", "--no-index", wheel],
        [
            tools / "bin" / "cyclonedx-py", "environment", "--output-reproducible",
            "--spec-version", SPEC, "--output-format", "JSON", "--output-file", target,
            "--pyproject", ROOT / "pyproject.toml", clean / "bin" / "python",
        ],
    ):  # fmt: skip
        subprocess.run(command, check=True)
    bom = named(json.loads(target.read_text()), wheel.name.split("-")[1])
    subprocess.run(
        [tools / "bin" / "python", "-c", VALIDATE], input=json.dumps(bom), text=True, check=True
    )
    return bom


def main(dist: Path) -> int:
    """Write the file beside the wheel in `dist`. Returns the exit status."""
    (wheel,) = dist.resolve().glob("ssmgate-*.whl")
    with tempfile.TemporaryDirectory(prefix="ssmgate-sbom-") as directory:
        bom = describe(wheel, Path(directory))
    found = problems(bom, constraints.pins((ROOT / "constraints.txt").read_text()))
    if found:
        print("\n".join(found))
        return 1
    version = bom["metadata"]["component"]["version"]
    target = dist / f"ssmgate-{version}.cdx.json"
    target.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n")
    print(f"{target}: {len(bom['components'])} packages")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/sbom.py DIRECTORY")
    sys.exit(main(Path(sys.argv[1])))
