"""Check what users set up for their shell, ssh and terminal."""

from __future__ import annotations

import locale
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ssmgate.doctor.results import Result, not_checked, ok, problem, unknown, warning
from ssmgate.doctor.settings import home
from ssmgate.doctor.shim import Shim

_COMPLETIONS = {"bash": "ssmgate.bash", "zsh": "_ssmgate", "fish": "ssmgate.fish"}
_STARTUP = {
    "bash": (".bashrc", ".bash_profile", ".profile"),
    "zsh": (".zshrc", ".zshenv"),
    "fish": (".config/fish/config.fish",),
}
# Where shells look by themselves, if ssmgate was installed into such a prefix.
_SYSTEM = {
    "bash": "share/bash-completion/completions/ssmgate",
    "zsh": "share/zsh/site-functions/_ssmgate",
    "fish": "share/fish/vendor_completions.d/ssmgate.fish",
}
_PREFIXES = ("/usr", "/usr/local")


def shell_name(environ: Mapping[str, str]) -> str:
    """Return the name of the user's shell, empty if it is not known."""
    return os.path.basename(environ.get("SHELL", ""))


def completion(environ: Mapping[str, str], directory: str | None) -> Result:
    """Check whether the user's shell completes ssmgate's commands.

    `directory` has the completions, None if the installation lacks it. Completions that the user
    loads in another way are not found.
    """
    shell = shell_name(environ)
    if shell not in _COMPLETIONS:
        return ok("completion", f"none for {shell or 'an unknown shell'}: bash, zsh and fish only")
    if directory is None or not os.path.isfile(os.path.join(directory, _COMPLETIONS[shell])):
        text = f"this installation lacks the completions for {shell}"
        return problem("completion", text, "pipx reinstall ssmgate")
    for prefix in _PREFIXES:
        if os.path.isfile(os.path.join(prefix, _SYSTEM[shell])):
            return ok("completion", f"{shell} loads it from {prefix}")
    path = home(environ)
    if path is None:
        return ok("completion", f"not set up for {shell}: see 'home'")
    above = environ.get("ZDOTDIR") or path if shell == "zsh" else path
    for name in _STARTUP[shell]:
        if number := _line_with("ssmgate", os.path.join(above, name)):
            return ok("completion", f"{shell} loads it in {above}/{name}, line {number}")
    file = shlex.quote(os.path.join(above, _STARTUP[shell][0]))
    code = f'eval "$(ssmgate init {shell})"'
    if shell == "fish":
        code = "ssmgate init fish | source"
    return warning("completion", f"{shell} does not load it", f"echo '{code}' >> {file}")


def _line_with(word: str, path: str) -> int:
    """Return the number of the first line with `word` that is not a comment, 0 if there is none."""
    try:
        with open(path, errors="replace") as file:
            for number, line in enumerate(file, 1):
                if word in line.partition("#")[0]:
                    return number
    except OSError:
        pass
    return 0


def ssh(environ: Mapping[str, str], shim: Shim | None) -> Result:
    """Check the ProxyCommand lines for Session Manager in the user's ssh configuration.

    Files that it includes, and the system's configuration, are not read.
    """
    above = home(environ)
    if above is None:
        return ok("ssh", "no configuration: see 'home'")
    path = os.path.join(above, ".ssh", "config")
    try:
        known = os.stat(path)
        with open(path, errors="replace") as file:
            commands = list(_proxy_commands(file.read()))
    except FileNotFoundError:
        return ok("ssh", f"{path} does not exist: ssh does not use Session Manager")
    except OSError as error:
        return unknown("ssh", f"{path}: {error.strerror}", f"ls -l {shlex.quote(path)}")
    if known.st_uid not in (0, os.geteuid()) or stat.S_IMODE(known.st_mode) & 0o022:
        text = f"ssh rejects {path}: it can be written by others"
        return problem("ssh", text, f"chmod 600 {shlex.quote(path)}")
    if not commands:
        return ok("ssh", f"{path} has no ProxyCommand for Session Manager")
    for number, command in commands:
        if why := _unusable(command, environ):
            return problem("ssh", f"{path}, line {number}: {why}", "ssmgate ssh-config")
    on_path = shim is not None and shim.in_force and not shim.function
    for number, command in commands:
        if re.search(r"\baws\b.*\bssm\s+start-session", command) and not on_path:
            text = f"{path}, line {number} runs aws without the check"
            return warning("ssh", text, "ssmgate ssh-config")
    return ok("ssh", f"{path}, line {', '.join(str(number) for number, _ in commands)}")


def _proxy_commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield the ProxyCommand lines that start sessions, with their numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*ProxyCommand(?:\s*=\s*|\s+)(.+)", line, re.IGNORECASE)
        if found and re.search(r"ssm-start-session|\bssm\s+start-session|ssmgate\b", found[1]):
            yield number, found[1]


def _unusable(command: str, environ: Mapping[str, str]) -> str:
    """Return why the program of a ProxyCommand cannot be run, empty if it can."""
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return ""  # not a plain command: only a shell can say
    if os.path.isabs(program):
        if not os.path.exists(program):
            return f"{program} does not exist"
        return "" if os.access(program, os.X_OK) else f"{program} is not executable"
    if not re.fullmatch(r"[\w.-]+", program) or program in ("exec", "env", "command"):
        return ""
    found = shutil.which(program, path=environ.get("PATH", os.defpath))
    return "" if found else f"{program} is not on PATH"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal of this process: `columns` of standard output, `encoding` of the locale."""

    is_terminal: bool
    columns: int = 80
    encoding: str = "utf-8"

    @classmethod
    def here(cls) -> Terminal:
        """Return the terminal of standard input and standard output."""
        try:
            if not (os.isatty(0) and os.isatty(1)):
                return cls(False)
            return cls(True, os.get_terminal_size(1).columns, locale.getpreferredencoding(False))
        except OSError:
            return cls(False)


def terminal(environ: Mapping[str, str], found: Terminal) -> Result:
    """Check the terminal. The plugin passes its size and its input to the node."""
    if not found.is_terminal:
        return ok("terminal", "standard input or output is not a terminal")
    kind = environ.get("TERM", "")
    if kind in ("", "dumb", "unknown"):
        text = f"TERM is {kind or 'not set'}: programs on the node cannot use the screen"
        return warning("terminal", text, "export TERM=xterm-256color")
    if not found.columns:
        return warning("terminal", "its size is not known", "stty rows 24 columns 80")
    if found.encoding.lower().replace("-", "") != "utf8":
        text = f"the locale's encoding is {found.encoding}: other characters are shown as escapes"
        return warning("terminal", text, "export LC_ALL=C.UTF-8")
    return ok("terminal", f"{kind}, {found.columns} columns, {found.encoding}")


def shim_missing() -> tuple[Result, Result]:
    """Return the results about `aws` if the installation lacks ssmgate's own."""
    text = "this installation lacks its aws"
    return problem("shim", text, "pipx reinstall ssmgate"), not_checked("aws", "shim")
