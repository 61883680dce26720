"""Install the wheel as users do, each time with an empty HOME, and start what was installed.

    python tests/installers.py [twine|pip|pinned|pipx|uv]…         `make test-all` runs it

Checks the metadata with twine, and installs with pip, with the pins of constraints.txt, with pipx
and with uv. Each has to deny a session in the sandbox, which runs in this environment, to have its
man page and completions, and to leave nothing when it is removed. test_deb.py does the same for the
Debian packages. The installers come from the package index that pip is configured to use; one that
cannot be had is named as "not run". Ends with 1 if anything fails.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
SECONDS = 600


class Failed(Exception):
    """A program ended with another status than 0, or printed something else."""


def run(*words: str | Path, environ: dict[str, str]) -> str:
    """Run a program. Returns what it printed on stdout. Raises `Failed`."""
    ended = subprocess.run(
        words, env=environ, cwd=environ["HOME"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def require(condition: bool, what: str) -> None:
    if not condition:
        raise Failed(what)


def clean(home: Path) -> dict[str, str]:
    """Return the environment of a new user, with the package index of this one."""
    home.mkdir()
    environ = {"HOME": str(home), "PATH": f"{home}/.local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    environ |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string("[pip]\n" + listed.stdout.replace(":env:", "env"))
    found = {key.rpartition(".")[2]: text.strip("'") for key, text in parser["pip"].items()}
    for key, pip, uv in (
        ("index-url", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("find-links", "PIP_FIND_LINKS", "UV_FIND_LINKS"),
        ("cert", "PIP_CERT", "SSL_CERT_FILE"),
    ):
        if text := found.get(key):
            environ |= {pip: text.replace("\\n", " "), uv: text.replace("\\n", " ")}
    # As pip does: of all indexes the best version.
    return environ | {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def first_denial(programs: Path, environ: dict[str, str]) -> None:
    """Start the session that the demo shows first: bob's, whom no policy gives a document."""
    sandbox = (sys.executable, "-m", "ssmgate", "sandbox", "--session-document-model", "2023")
    start = (programs / "ssm-start-session", "--target", "i-0123456789abcdef0")
    ended = subprocess.run(
        [*sandbox, "--as", "bob", "--", *start],
        env=environ, cwd=environ["HOME"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    denied = ended.returncode == 254 and "ssmgate: [ERROR]: access denied" in ended.stderr
    require(denied, f"{ended.returncode}: {ended.stderr}")


def show_man_page_and_completions(programs: Path, environ: dict[str, str]) -> None:
    """Show the man page, and let each installed shell load its completion of `ssmgate`."""
    share = (programs / "ssmgate").resolve().parents[1] / "share"
    bash = share / "bash-completion/completions/ssmgate"
    commands = {
        "man": (f"MANPATH={share}/man man ssmgate", "NAME"),
        "bash": (f"bash -c '. {bash} && complete -p ssmgate'", "ssmgate"),
        "zsh": (f"zsh -fc 'fpath=({share}/zsh/site-functions $fpath); autoload -U compinit; "
                "compinit -D -u; print $_comps[ssmgate]'", "_ssmgate"),
        "fish": (f"fish -c 'source {share}/fish/vendor_completions.d/ssmgate.fish; "
                 "complete -C \"ssmgate \"'", "doctor"),
    }  # fmt: skip
    for program, (command, expected) in commands.items():
        if shutil.which(program, path=environ["PATH"]) is None:
            print(f"not run: {program} is not installed")
            continue
        printed = run("sh", "-c", command, environ=environ)
        require(expected in printed, f"{command}: {printed!r}")


def files(environ: dict[str, str]) -> set[str]:
    """Return the paths below HOME that may be ssmgate's: no caches and logs of the installers."""
    home = Path(environ["HOME"])
    names = ("*ssmgate*", "*ssm-start-session*", "*ssm_start_session*")
    paths = {str(path.relative_to(home)) for name in names for path in home.rglob(name)}
    lock = ".local/share/pipx/venvs/.ssmgate.lock"
    others = (".cache/pip/", ".cache/uv/", ".local/state/pipx/", ".local/share/pipx/logs/", lock)
    return {path for path in paths if not path.startswith(others)}


def remove(*words: str | Path, environ: dict[str, str]) -> None:
    """Remove the program with `words`, then its data as the documentation says."""
    run(*words, environ=environ)
    for directory in (".cache/ssmgate", ".config/ssmgate"):
        shutil.rmtree(Path(environ["HOME"], directory), ignore_errors=True)
    require(not (left := files(environ)), f"remains: {', '.join(sorted(left))}")


def start_everything(wheel: Path, programs: Path, environ: dict[str, str]) -> None:
    """Start each program of the wheel, and what needs its data files."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(name).decode())
    for script in parser["console_scripts"]:
        run(programs / script, "--version", environ=environ)
    skeleton = run(programs / "ssm-start-session", "--generate-cli-skeleton", environ=environ)
    require("Target" in json.loads(skeleton), skeleton)
    run(programs / "ssmgate", "models", "build", environ=environ)
    found = subprocess.run(
        [programs / "ssmgate", "doctor", "--output", "json"],
        env=environ, capture_output=True, text=True, timeout=SECONDS, check=False,
    ).stdout  # fmt: skip
    states = {result["name"]: result["state"] for result in json.loads(found)["results"]}
    require(states["python"] == states["awscli"] == "ok", found)
    evaluated = f'eval "$({programs}/ssmgate init bash)"; {programs}/ssmgate init bash --check'
    require(run("bash", "-c", evaluated, environ=environ).startswith("active: "), evaluated)
    first_denial(programs, environ)
    show_man_page_and_completions(programs, environ)


def with_pip(wheel: Path, _: Path, environ: dict[str, str]) -> None:
    prefix = Path(environ["HOME"]) / "venv"
    venv.create(prefix, with_pip=True, symlinks=True)
    run(prefix / "bin" / "pip", "install", "-q", wheel, environ=environ)
    run(prefix / "bin" / "pip", "check", environ=environ)
    start_everything(wheel, prefix / "bin", environ)
    remove(prefix / "bin" / "pip", "uninstall", "-q", "-y", "ssmgate", environ=environ)


def with_pins(wheel: Path, _: Path, environ: dict[str, str]) -> None:
    """Install as docs/reference/releases.md says, for each list of pins."""
    for pins in sorted(ROOT.glob("constraints*.txt")):
        prefix = Path(environ["HOME"]) / pins.stem
        venv.create(prefix, with_pip=True, symlinks=True)
        install = (prefix / "bin" / "pip", "install", "-q")
        hashed = ("--require-hashes", "--only-binary", ":all:")
        run(*install, *hashed, "-r", pins, environ=environ)
        run(*install, "--no-deps", "--no-index", wheel, environ=environ)
        run(prefix / "bin" / "pip", "check", environ=environ)
        start_everything(wheel, prefix / "bin", environ)


def with_pipx(wheel: Path, pipx: Path, environ: dict[str, str]) -> None:
    run(pipx, "install", "--python", sys.executable, wheel, environ=environ)
    start_everything(wheel, Path(environ["HOME"], ".local", "bin"), environ)
    require(not Path(environ["HOME"], ".local", "bin", "aws").exists(), "aws is on PATH")
    remove(pipx, "uninstall", "ssmgate", environ=environ)


def with_uv(wheel: Path, uv: Path, environ: dict[str, str]) -> None:
    run(uv, "tool", "install", "-q", "--python", sys.executable, wheel, environ=environ)
    start_everything(wheel, Path(environ["HOME"], ".local", "bin"), environ)
    require(not Path(environ["HOME"], ".local", "bin", "aws").exists(), "aws is on PATH")
    remove(uv, "tool", "uninstall", "-q", "ssmgate", environ=environ)


def with_twine(wheel: Path, twine: Path, environ: dict[str, str]) -> None:
    run(twine, "check", "--strict", *wheel.parent.iterdir(), environ=environ)


CHECKS: dict[str, Callable[[Path, Path, dict[str, str]], None]] = {
    "twine": with_twine,
    "pip": with_pip,
    "pinned": with_pins,
    "pipx": with_pipx,
    "uv": with_uv,
}


def main(names: list[str]) -> int:
    """Run the checks with `names`, all if there are none. Returns the exit status."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="ssmgate-installers-") as directory:
        built, own = Path(directory, "built"), clean(Path(directory, "own"))
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", built],
            cwd=ROOT, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        (wheel,) = built.glob("*.whl")
        for name, check in CHECKS.items():
            if names and name not in names:
                continue
            tools = Path(directory, f"{name}-tools")
            try:
                if name not in ("pip", "pinned"):
                    venv.create(tools, with_pip=True, symlinks=True)
                    run(tools / "bin" / "pip", "install", "-q", name, environ=own)
            except Failed as why:
                print(f"not run: {name} cannot be installed here: {str(why).splitlines()[-1]}")
                continue
            try:
                check(wheel, tools / "bin" / name, clean(Path(directory, name)))
            except Failed as why:
                failed = True
                print(f"failed: {name}: {why}")
            else:
                print(f"passed: {name}", flush=True)
            shutil.rmtree(tools, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
