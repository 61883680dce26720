"""`ssmgate sandbox`: run a local AWS for one command, or until it is interrupted."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from ssmgate.commands.printer import echo, echo_exactly, echo_lines
from ssmgate.gate import exits

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_MODELS = ("2021", "2023", "2025")
_SECONDS_TO_STOP = 10
# The environment variable with the path of the file that describes the sandbox of a command.
_STATE = "_SSMGATE_SANDBOX"

# Environment variables of the user that would select another AWS.
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


class SandboxProblem(click.ClickException):
    """The sandbox cannot be started or found. Exits 253."""

    exit_code = exits.CONFIGURATION

    def format_message(self) -> str:
        """Return the message with the verb in front, for click to print."""
        return f"sandbox: {self.message}"


@dataclass(frozen=True, slots=True)
class Running:
    """The data that the server reports when it is ready."""

    pid: int
    url: str
    region: str
    default_name: str
    nodes: tuple[str, ...]
    path: str
    ssh_config: str | None
    principals: Mapping[str, Mapping[str, str | None]]

    @classmethod
    def read(cls, text: str, pid: int | None = None) -> Running:
        """Parse the server's JSON. Raises ValueError, KeyError or TypeError if it is not valid."""
        values: dict[str, Any] = json.loads(text)
        return cls(
            pid if pid is not None else int(values["pid"]),
            values["url"],
            values["region"],
            values["as"],
            tuple(values["nodes"]),
            values["path"],
            values["ssh_config"],
            values["principals"],
        )

    def to_json(self) -> str:
        """Return the JSON that `read` parses, including the process ID."""
        return json.dumps(
            {
                "pid": self.pid,
                "url": self.url,
                "region": self.region,
                "as": self.default_name,
                "nodes": self.nodes,
                "path": self.path,
                "ssh_config": self.ssh_config,
                "principals": self.principals,
            }
        )

    def variables(self, name: str | None) -> dict[str, str]:
        """Return the environment variables with which a command acts as `name`.

        None is the default user. Raises `SandboxProblem` if there is no such user or role.
        """
        principal = self.default_name if name is None else name
        if principal not in self.principals:
            raise SandboxProblem(
                f"there is no user or role {principal!r} here, only {', '.join(self.principals)}"
            )
        credentials = self.principals[principal]
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            # AWS CLI v1 and boto3 read the second, AWS CLI v2 reads the first.
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": credentials["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["secret_access_key"],
            "AWS_SESSION_TOKEN": credentials["session_token"],
            "AWS_EC2_METADATA_DISABLED": "true",
            # Changes to policies must have an effect at once.
            "SSMGATE_CACHE_TTL": "0",
            "NO_PROXY": _with_loopback(os.environ.get("NO_PROXY", "")),
            "no_proxy": _with_loopback(os.environ.get("no_proxy", "")),
        }
        return {key: value for key, value in variables.items() if value is not None}


class _Command(click.Command):
    """A command in which `--` separates COMMAND from the options. Click itself drops `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the words after `--` into ctx.meta["command"], and let click parse the others."""
        if "--" in args:
            at = args.index("--")
            if not args[at + 1 :]:
                raise click.UsageError("missing command after --", ctx)
            ctx.meta["command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(
    cls=_Command,
    options_metavar="[OPTIONS]",
    short_help="Run a local AWS that enforces permissions.",
)
@click.option(
    "--as", "name", metavar="NAME", help="The user or role whose credentials COMMAND gets."
)
@click.option("--seed", metavar="FILE", help="A TOML file to use instead of the included fixture.")
@click.option(
    "--session-document-model",
    "model",
    type=click.Choice(_MODELS),
    default="2025",
    show_default=True,
    help="The published behaviour of StartSession, by year.",
)
@click.option(
    "--session-logs",
    "logs",
    metavar="DIR",
    help="The directory for logs of sessions whose document logs to S3 or CloudWatch.",
)
@click.option(
    "--port",
    metavar="NUMBER",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port to listen on. Default: a free one.",
)
@click.argument("words", nargs=-1, metavar="[env NAME | -- COMMAND...]")
@click.pass_context
def sandbox(
    ctx: click.Context,
    name: str | None,
    seed: str | None,
    model: str,
    logs: str | None,
    port: int,
    words: tuple[str, ...],
) -> None:
    """Run a local AWS on loopback that enforces permissions: IAM, STS, SSM and EC2.

    With COMMAND, runs the command in the sandbox as one user, and exits with its exit status.
    Without, runs until interrupted and logs each request. To use it in another terminal:

    \b
      eval "$(ssmgate sandbox env NAME)"
    """
    command = ctx.meta.get("command")
    if words:
        if command is not None or words[0] != "env" or len(words) != 2:
            raise click.UsageError("write 'sandbox env NAME' or 'sandbox -- COMMAND...'", ctx)
        echo_exactly(_exports(_find().variables(words[1])))
        return
    with _server(seed, model, port, logs, log=command is None) as (server, running):
        variables = running.variables(name)
        if command is None:
            _stay(server, running, name or running.default_name)
        else:
            # The sandbox's programs, such as its ssh, are for this command only.
            variables["PATH"] = f"{running.path}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            # `sandbox env` in it must find this sandbox, not one that stays.
            variables[_STATE] = os.path.join(running.path, "sandbox.json")
            _write(variables[_STATE], running.to_json())
            ctx.exit(_run(command, variables))


@contextlib.contextmanager
def _server(
    seed: str | None, model: str, port: int, logs: str | None, *, log: bool
) -> Iterator[tuple[subprocess.Popen[bytes], Running]]:
    """Run the server in a process of its own while the block runs; yield it when it is ready.

    The server ends when its standard input ends, so also if this process is killed.
    """
    if importlib.util.find_spec("ssmgate.sandbox") is None:
        raise SandboxProblem(
            "the Debian package does not have the sandbox: in a clone of ssmgate: "
            "pipx install '.[sandbox]'"
        )
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        from ssmgate.gate.system.installation import adding

        raise SandboxProblem(f"moto is not installed: {adding('sandbox')}")
    # awscli and moto cannot share a process: each needs its own botocore.
    argv = [sys.executable, "-m", "ssmgate.sandbox", "--model", model, "--port", str(port)]
    argv += ["--seed", seed] if seed is not None else []
    argv += ["--session-logs", logs] if logs is not None else []
    argv += ["--log"] if log else []
    reading, writing = os.pipe()
    try:
        server = subprocess.Popen(
            [*argv, "--ready-fd", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(writing,),
            env={key: value for key, value in os.environ.items() if not _selects_aws(key)},
            # Ctrl-C must only reach the command.
            start_new_session=True,
        )
    finally:
        os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            report = pipe.read()
        if not report:
            # With status 253 the server has printed the reason; any other status is a crash.
            known = server.wait() == exits.CONFIGURATION
            raise click.exceptions.Exit(exits.CONFIGURATION if known else exits.OTHER)
        yield server, Running.read(report, server.pid)
    finally:
        _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.stdin is not None:
        server.stdin.close()
    try:
        server.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _run(command: list[str], variables: Mapping[str, str]) -> int:
    """Run `command` with the terminal. Returns its exit status, or 128 and the signal's number."""
    environ = {k: v for k, v in os.environ.items() if not _selects_aws(k)} | dict(variables)
    process: subprocess.Popen[bytes] | None = None
    early_signals: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if process is None:
            early_signals.append(number)
        else:
            process.send_signal(number)

    # Installed before the command starts, because a signal in between would leave it running.
    # exec resets them to the default dispositions.
    handlers = {number: signal.signal(number, forward) for number in _SIGNALS}
    # The terminal sends Ctrl-C to the command as well, which decides what to do.
    for number in (signal.SIGINT, signal.SIGQUIT):
        handlers[number] = signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(command, env=environ)
        for early in early_signals:
            process.send_signal(early)
        status = _wait(process)
    except OSError as error:
        echo(f"ssmgate: sandbox: {command[0]}: {error.strerror}", err=True)
        return 127 if isinstance(error, FileNotFoundError) else 126
    finally:
        for known, handler in handlers.items():
            signal.signal(known, handler)
    return status if status >= 0 else 128 - status


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the status of `process` when it has ended. Signals until then are sent to it.

    Python would not call a handler for a signal that arrives just before the wait begins, so
    this waits for the signals themselves with sigwait.
    """
    awaited = {*_SIGNALS, signal.SIGCHLD}
    # Some systems discard SIGCHLD without a handler, even if it is blocked.
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    # The command has started already, so it does not inherit the mask.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        while process.poll() is None:
            number = signal.sigwait(awaited)
            if number != signal.SIGCHLD:
                process.send_signal(number)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGCHLD, before)
    return process.wait()


def _stay(server: subprocess.Popen[bytes], running: Running, name: str) -> None:
    """Print how to use the sandbox, and wait for an interrupt or the end of the server."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, interrupt)
    path = _state_path()
    try:
        _write(path, running.to_json())
        echo_lines(
            f"a local AWS is at {running.url}, region {running.region}\n"
            f"nodes: {', '.join(running.nodes) or 'none'}\n"
            f"users and roles: {', '.join(running.principals)}\n"
            "in another terminal:\n"
            f'  eval "$(ssmgate sandbox env {name})"\n'
            + (f"  ssh -F {running.ssh_config} NODE\n" if running.ssh_config else "")
            + "Ctrl-C ends it"
        )
        server.wait()
    except KeyboardInterrupt:
        return
    finally:
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            # A sandbox started later has replaced the file.
            with open(path) as file:
                latest = Running.read(file.read())
            if latest.pid == running.pid:
                os.unlink(path)
    raise SandboxProblem("the sandbox server ended unexpectedly")


def _state_path() -> str:
    """Return the path of the file in which the latest running sandbox describes itself."""
    directory = os.environ.get("XDG_RUNTIME_DIR") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(directory, "ssmgate", "sandbox.json")


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError as error:
        raise SandboxProblem(f"{path}: {error.strerror}") from error


def _find() -> Running:
    """Return the sandbox in which this process runs, else the latest one that stays."""
    path = os.environ.get(_STATE) or _state_path()
    try:
        with open(path) as file:
            return Running.read(file.read())
    except FileNotFoundError as error:
        raise SandboxProblem("no sandbox is running: start one with 'ssmgate sandbox'") from error
    except OSError as error:
        raise SandboxProblem(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxProblem(f"{path} cannot be read: {error}") from error


def _exports(variables: Mapping[str, str]) -> str:
    lines = [f"unset {name}" for name in _UNSET if name not in variables]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines)


def _selects_aws(name: str) -> bool:
    """Return whether an environment variable selects the user's own AWS, such as credentials."""
    return name.startswith("AWS_")


def _with_loopback(hosts: str) -> str:
    return ",".join(dict.fromkeys([*(h for h in hosts.split(",") if h), "127.0.0.1"]))
