"""Build Debian packages from this tree, each for one Debian release.

    python tools/deb.py [-d DIRECTORY] [12|13]…         or: make deb

A package has the wheel and the packages of constraints.txt, with their hashes checked, below
/usr/lib/ssmgate: an environment for the release's own Python. That Python version compiles the
modules, as users cannot write there: it is looked for on PATH, then where pyenv and uv install it.
Needs dpkg-deb. pip needs its index. The maintainer is that of DEBFULLNAME and DEBEMAIL, otherwise
the author of the last commit. The same tree, Pythons, and SOURCE_DATE_EPOCH (by default the time of
the last commit) give the same bytes. Ends with 1 if a program fails, and with 2 if one is missing.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import config_keys

ROOT = Path(__file__).parents[1]
PARTS = ROOT / "packaging" / "deb"
PREFIX = "usr/lib/ssmgate"
# pip needs one, although no compiled module gets into the package.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
PROGRAMS = {"ssmgate": "ssmgate", "ssm-start-session": "ssm_start_session"}
LAUNCHER = """\
#!/{prefix}/bin/python -I
import sys
from ssmgate.__main__ import {function}
sys.exit({function}())
"""


@dataclass(frozen=True)
class Release:
    """A release of Debian: its number and name, and the version of its Python."""

    number: str
    name: str
    python: str


RELEASES = {
    "12": Release("12", "bookworm", "3.11"),
    "13": Release("13", "trixie", "3.13"),
}


def run(*words: str | Path) -> str:
    """Run a program, and return its standard output. Raises `SystemExit` if it fails."""
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"deb: {' '.join(map(str, words))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def python(version: str) -> str | None:
    """Return the path of a Python of `version`, such as 3.13, that runs; None without one."""
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv", "versions")
    uv = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share", "uv/python")
    elsewhere = [*pyenv.glob(f"{version}.*/bin"), *uv.glob(f"cpython-{version}.*/bin")]
    for directory in ["/usr/bin", *os.get_exec_path(), *sorted(elsewhere)]:
        path = os.path.join(directory, f"python{version}")
        if os.access(path, os.X_OK):
            ended = subprocess.run([path, "-I", "-c", check], capture_output=True, check=False)
            if ended.returncode == 0:
                return path
    return None


def pythons(releases: Iterable[Release]) -> dict[Release, str]:
    """Return the Python of each release that can be built; print what the others need."""
    found = {}
    for release in releases:
        if path := python(release.python):
            found[release] = path
        else:
            version = release.python
            print(
                f"deb: cannot build for Debian {release.number}: Python {version}, which compiles "
                f"its modules, is not on this machine. Install it, for example with `uv python "
                f"install {version}` or `pyenv install {version}`, or build on Debian "
                f"{release.number}: make deb DEBIAN={release.number}",
                file=sys.stderr,
            )
    return found


def is_program(path: Path) -> bool:
    """Return whether the file can be executed. Wheels also mark data as executable."""
    with path.open("rb") as file:
        return bool(path.stat().st_mode & 0o100) and file.read(2) == b"#!"


def maintainer() -> str:
    """Return name and address of who builds, as Debian's tools do."""
    if {"DEBFULLNAME", "DEBEMAIL"} <= os.environ.keys():
        return f"{os.environ['DEBFULLNAME']} <{os.environ['DEBEMAIL']}>"
    return run("git", "log", "-1", "--format=%an <%ae>").strip()


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def packed(path: Path, data: bytes) -> None:
    """Write `data` with gzip, without name and time, so that each build has the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def configuration() -> str:
    """Return /etc/ssmgate/config.toml: each key with its effect and an example, in comments."""
    lines = [
        "# Configuration of ssmgate for all users of this machine: see ssmgate-config(5).",
        "# Without `#` a line is in force. `ssmgate config check` validates this file.",
    ]
    for key, text in config_keys.KEYS.items():
        effect = textwrap.wrap(f"{key}: {text.effect}", 95, break_on_hyphens=False)
        lines += ["", *(f"# {line}" for line in effect)]
        lines += [f"#{line}" for line in text.example.splitlines()]
    return "\n".join(lines) + "\n"


def bastion() -> dict[str, str]:
    """Return the files that the bastion guide has its readers save, with the package's paths."""
    guide = (ROOT / "docs/how-to/bastion.md").read_text()
    blocks = dict(re.findall(r"^```\w+ title=(\w+)\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE))
    return {
        "config.toml": blocks["config"],
        "aws": blocks["aws"],
        "sshd.conf": blocks["sshd"].replace("/opt/ssmgate/bin/", f"/{PREFIX}/"),
        "nftables.conf": blocks["firewall"],
    }


def install_packages(site: Path, release: Release, wheel: Path) -> None:
    """Install the pinned packages and the wheel into `site`, without programs and the sandbox."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pip += ["--target", str(site), "--no-compile", "--no-deps", "--only-binary", ":all:"]
    pip += ["--python-version", release.python, "--implementation", "cp"]
    for platform in PLATFORMS:
        pip += ["--platform", platform]
    run(*pip, "--require-hashes", "-r", "constraints.txt")
    shutil.rmtree(site / "bin")
    run(*pip, "--no-index", wheel)
    # The programs name this Python, and share/ is in /usr/share.
    for name in ("bin", "share", "ssmgate/sandbox"):
        shutil.rmtree(site / name)
    for path in site.glob("*.dist-info/direct_url.json"):
        path.unlink()
    # Without its parser in C, which has a copy of libyaml, PyYAML uses the one in Python.
    for path in site.glob("yaml/_yaml.*.so"):
        path.unlink()
    for record in site.glob("*.dist-info/RECORD"):
        record.write_text(existing(record.read_text(), site))
    if compiled := [path.name for path in site.rglob("*.so")]:
        raise SystemExit(f"deb: not for all architectures: {', '.join(compiled)}")


def existing(record: str, site: Path) -> str:
    """Return the lines of a wheel's RECORD whose files are in `site`.

    The others name scripts, whose hashes depend on the path of the Python that builds.
    """
    rows = ((line, next(csv.reader([line]))[0]) for line in record.splitlines(keepends=True))
    return "".join(
        line for line, path in rows if not path.startswith("../") and (site / path).is_file()
    )


def install_programs(root: Path, site: Path, release: Release) -> None:
    """Write the environment's own files, and the programs that start its Python with -I."""
    prefix = root / PREFIX
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").symlink_to(f"../../../bin/python{release.python}")
    settings = {
        "home": "/usr/bin",
        "include-system-site-packages": "false",
        "version": release.python,
    }
    write(prefix / "pyvenv.cfg", "".join(f"{key} = {text}\n" for key, text in settings.items()))
    (root / "usr/bin").mkdir()
    for name, function in PROGRAMS.items():
        launcher = LAUNCHER.format(prefix=PREFIX, function=function)
        write(prefix / "bin" / name, launcher, 0o755)
        (root / "usr/bin" / name).symlink_to(f"../lib/ssmgate/bin/{name}")
    # Root's own AWS CLI: the renewal of credentials calls it.
    aws = f"#!/{PREFIX}/bin/python -I\nimport sys\nimport awscli.clidriver\n"
    write(prefix / "bin/aws", aws + "sys.exit(awscli.clidriver.main())\n", 0o755)
    login = (ROOT / "bin/ssmgate-login").read_text()
    write(prefix / "ssmgate-login", login.replace("/opt/ssmgate/", f"/{PREFIX}/"), 0o755)
    shims = site.relative_to(prefix) / "ssmgate" / "shims"
    (prefix / "shims").symlink_to(shims)
    write(prefix / "ssmgate-credentials", (PARTS / "ssmgate-credentials").read_text(), 0o755)


def install_data(root: Path, site: Path) -> None:
    """Write configuration, units, man pages, completions, and the catalog of journald."""
    write(root / "etc/ssmgate/config.toml", configuration())
    (root / "etc/ssmgate/credentials").mkdir()
    for name in ("records", "empty"):
        (root / "var/lib/ssmgate" / name).mkdir(parents=True)
    parts = {
        "ssmgate-credentials.default": "etc/default/ssmgate-credentials",
        "ssmgate-credentials.service": "usr/lib/systemd/system/ssmgate-credentials.service",
        "ssmgate-credentials.timer": "usr/lib/systemd/system/ssmgate-credentials.timer",
        "ssmgate-daemon.service": "usr/lib/systemd/user/ssmgate-daemon.service",
    }
    for name, path in parts.items():
        write(root / path, (PARTS / name).read_text())
    for name, text in bastion().items():
        write(root / "usr/share/ssmgate/bastion" / name, text)
    catalog = (site / "ssmgate/records/ssmgate.catalog").read_text()
    write(root / "usr/lib/systemd/catalog/ssmgate.catalog", catalog)
    for page in (ROOT / "docs/reference/man").iterdir():
        to = root / "usr/share/man" / f"man{page.suffix[1:]}" / f"{page.name}.gz"
        packed(to, page.read_bytes())
    share, completions = root / "usr/share", ROOT / "completions"
    bash = share / "bash-completion/completions"
    write(bash / "ssmgate", (completions / "ssmgate.bash").read_text())
    (bash / "ssm-start-session").symlink_to("ssmgate")
    zsh = (completions / "_ssmgate").read_text()
    write(share / "zsh/vendor-completions/_ssmgate", zsh)
    fish = (completions / "ssmgate.fish").read_text()
    write(share / "fish/vendor_completions.d/ssmgate.fish", fish)


def install_documents(root: Path, version: str, release: Release, when: datetime) -> None:
    """Write copyright, changelogs, and the explained exceptions for lintian."""
    documents = root / "usr/share/doc/ssmgate"
    licenses = (ROOT / "docs/reference/licenses.md").read_text()
    table = licenses.partition("## Each installation")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", table, re.MULTILINE)
    packages = "".join(f" {name}: {text}\n" for name, text in rows)
    write(
        documents / "copyright",
        (PARTS / "copyright").read_text().replace("{packages}", packages),
    )
    packed(documents / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    entry = f"ssmgate ({version}) {release.name}; urgency=medium\n\n"
    entry += "  * Built from the release's tree: changelog.gz has the changes.\n\n"
    entry += f" -- {maintainer()}  {format_datetime(when)}\n"
    packed(documents / "changelog.Debian.gz", entry.encode())
    overrides = (PARTS / "lintian-overrides").read_text()
    write(root / "usr/share/lintian/overrides/ssmgate", overrides)


def install_control(root: Path, version: str, release: Release) -> None:
    """Write DEBIAN/: control, sums, scripts, and the files that an upgrade does not overwrite."""
    control = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    text = (PARTS / "control").read_text().format(
        version=version, maintainer=maintainer(), size=size,
        python=f"python{release.python}",
    )  # fmt: skip
    sums = [
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    ]
    write(control / "control", text)
    write(control / "md5sums", "".join(sums))
    etc = (path for path in files if path.is_relative_to(root / "etc"))
    configurations = [f"/{path.relative_to(root)}\n" for path in etc]
    write(control / "conffiles", "".join(configurations))
    for name in ("postinst", "prerm", "postrm"):
        write(control / name, (PARTS / name).read_text(), 0o755)


def build(release: Release, wheel: Path, directory: Path, compiler: str) -> Path:
    """Build the package of `release` into `directory`, and return its path."""
    when = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    version = f"{wheel.name.split('-')[1]}-1~deb{release.number}"
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "root"
        site = root / PREFIX / f"lib/python{release.python}/site-packages"
        site.mkdir(parents=True)
        install_packages(site, release, wheel)
        install_programs(root, site, release)
        install_data(root, site)
        install_documents(root, version, release, when)
        # Users cannot write .pyc files there, and the time of a module says nothing.
        compiling = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
        run(compiler, "-I", *compiling, "-s", root, "-p", "/", site)
        for path in [root, *root.rglob("*")]:
            if not path.is_symlink():
                executable = path.is_dir() or is_program(path)
                path.chmod(0o755 if executable else 0o644)
        install_control(root, version, release)
        built = directory / f"ssmgate_{version}_all.deb"
        # At the default level, 6, the package is a seventh smaller, and takes 7 times as long.
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-z2", "--build", root, built)
    return built


def main() -> int:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("releases", nargs="*", metavar="12|13", default=[*RELEASES])
    parser.add_argument("-d", dest="directory", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    if unknown := [number for number in options.releases if number not in RELEASES]:
        parser.error(f"not a release: {', '.join(unknown)}")
    if shutil.which("dpkg-deb") is None:
        parser.error("dpkg-deb is missing: apt install dpkg")
    if "SOURCE_DATE_EPOCH" not in os.environ:
        os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct").strip()
    os.umask(0o022)  # dpkg-deb rejects a stricter mode of DEBIAN
    directory = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    compilers = pythons(RELEASES[number] for number in options.releases)
    if not compilers:
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        run(sys.executable, "-m", "hatchling", "build", "-d", temporary, "-t", "wheel")
        (wheel,) = Path(temporary).glob("*.whl")
        for release, compiler in compilers.items():
            print(build(release, wheel, directory, compiler), flush=True)
    return 0 if len(compilers) == len(set(options.releases)) else 2


if __name__ == "__main__":
    sys.exit(main())
