"""Make the whole report, and format it as text or JSON."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ssmgate import __version__
from ssmgate.doctor import network, program, settings, shell, shim
from ssmgate.doctor.calls import OutOfTimeError, Step
from ssmgate.doctor.lines import NAMES, Lines
from ssmgate.doctor.results import Result, State, exit_status, not_checked, problem
from ssmgate.explain.report import SCHEMA_VERSION
from ssmgate.gate.config.load import Config, ConfigSource
from ssmgate.gate.decision.messages import command
from ssmgate.gate.decision.printable import line
from ssmgate.gate.plugin.find import Plugin

if TYPE_CHECKING:
    from ssmgate.gate.argv.parse import Invocation

_PLUGIN_SECONDS = 10

_TAKES_OPTIONS = ("ssmgate doctor", "ssmgate documents", "ssmgate check")
_COLOURS = {State.OK: "32", State.WARNING: "33", State.PROBLEM: "31", State.UNKNOWN: "33"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What is checked.

    `invocation` is the parsed command line, None if it could not be parsed; `failure` says why,
    empty if that is due to `awscli`. `shims` and `completions` are directories of the
    installation, None if they are missing.
    """

    environ: Mapping[str, str]
    awscli: program.Awscli
    invocation: Invocation | None
    failure: str
    shims: str | None
    completions: str | None
    terminal: shell.Terminal
    system: ConfigSource | None = None


def examine(machine: Machine) -> tuple[Result, ...]:
    """Return the results of all checks, in a fixed order.

    Calls STS, IAM and SSM, at most for `account.SECONDS`. Runs the plugin, as
    `session-manager-plugin --version`. Writes nothing; clients may renew cached credentials.
    """
    environ = machine.environ
    config, configuration = settings.configuration(environ, machine.system)
    finding = Step(lambda: program.plugin(environ, config), "session-manager-plugin")
    files = settings.aws_files(environ)
    local = [
        settings.check_home(environ),
        configuration,
        settings.records(environ, config),
        settings.cache(environ, config),
        settings.daemon(environ, config),
        *_shell(machine, config),
        files,
    ]
    aws, only_here = _aws(machine, config, files, lambda: _plugin(finding)[0])
    plugin, plugin_result = _plugin(finding)
    credentials = next(result for result in aws if result.name == "credentials")
    results = (
        program.python(),
        program.awscli(machine.awscli),
        plugin_result,
        program.plugin_credentials(plugin, config, only_here, credentials),
        *local,
        *aws,
    )
    return tuple(_with_options(result, machine.invocation) for result in results)


def _with_options(result: Result, invocation: Invocation | None) -> Result:
    """Return `result`; its fix repeats the user's options if it is a command that takes them."""
    if invocation is None or not result.fix.startswith(_TAKES_OPTIONS):
        return result
    words = shlex.split(result.fix)[1:]
    return replace(result, fix=command(words, invocation.options.repeated()))


def _plugin(finding: Step[tuple[Plugin | None, Result]]) -> tuple[Plugin | None, Result]:
    try:
        return finding.result(time.monotonic() + _PLUGIN_SECONDS)
    except OutOfTimeError:
        return None, problem(
            "plugin", f"session-manager-plugin --version did not end within {_PLUGIN_SECONDS} s"
        )


def _shell(machine: Machine, config: Config) -> tuple[Result, ...]:
    environ, found = machine.environ, None
    name = shell.shell_name(environ)
    try:
        found = shim.find_shim(environ, machine.shims or "/", config.aws_path)
        about_aws = (shim.shim(found, name), shim.real_aws(found))
    except OSError:
        about_aws = shell.shim_missing()
    return (
        *about_aws,
        shell.completion(environ, machine.completions),
        shell.ssh(environ, found),
        shell.terminal(environ, machine.terminal),
    )


def _aws(
    machine: Machine, config: Config, files: Result, plugin: Callable[[], Plugin | None]
) -> tuple[list[Result], str | None]:
    """Return the lines about AWS, and `only_here` of the credentials, None if there are none."""
    environ, invocation = machine.environ, machine.invocation
    proxy = network.proxies(environ)
    lines, only_here = Lines(), None
    if invocation is None:
        tls = not_checked("TLS", "awscli")
        because = "awscli"
        if machine.failure:
            because = files.name if files.state is State.PROBLEM else "credentials"
            tls = not_checked("TLS", because)
            if because == "credentials":
                lines.add(problem(because, machine.failure, "aws configure list-profiles"))
        lines.fill(NAMES, because)
    else:
        from ssmgate.doctor import account

        tls = network.tls(invocation.options.verify, _ca_bundle(invocation), environ)
        broken = next((one.name for one in (proxy, tls) if one.state is State.PROBLEM), "")
        lines, only_here = account.look(invocation, config, environ, broken=broken, plugin=plugin)
    return [proxy, tls, *(lines.results[name] for name in NAMES)], only_here


def _ca_bundle(invocation: Invocation) -> object:
    try:
        return invocation.session.get_config_variable("ca_bundle")
    except Exception:  # the profile: see the line about credentials
        return None


def text(results: Sequence[Result], *, colour: bool = False) -> str:
    """Return a line for each result, and its fix below it if there is something to do."""
    width = max(len(result.name) for result in results)
    rows = []
    for result in results:
        state = f"{result.state.value:7}"
        if colour:
            state = f"\x1b[{_COLOURS[result.state]}m{state}\x1b[0m"
        rows.append(f"{state}  {result.name:{width}}  {line(result.text)}".rstrip())
        if result.fix:
            rows += [f"{'':9}{'':{width}}  {line(row)}" for row in _fix(result.fix)]
    return "\n".join([*rows, "", _summary(results)])


def _fix(fix: str) -> list[str]:
    """Return the lines of a fix: a policy statement is indented, a command is one line."""
    if fix.startswith('"'):  # an element of a statement
        rows = json.dumps(json.loads(f"{{{fix}}}"), indent=2).splitlines()
        return [row.removeprefix("  ") for row in rows[1:-1]]
    return json.dumps(json.loads(fix), indent=2).splitlines() if fix.startswith("{") else [fix]


def _summary(results: Sequence[Result]) -> str:
    counts = {state: sum(result.state is state for result in results) for state in State}
    if counts[State.OK] == len(results):
        return "everything is in order"
    return ", ".join(
        f"{count} {_plural(state.value, count)}"
        for state, count in counts.items()
        if count and state is not State.OK
    )


def _plural(word: str, count: int) -> str:
    return word if count == 1 or word == "unknown" else f"{word}s"


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the report as `explain/schema.json` describes it. It has no credentials."""
    return {
        "version": SCHEMA_VERSION,
        "kind": "doctor",
        "ssmgate": __version__,
        "exit_status": exit_status(results),
        "results": [
            {
                "name": result.name,
                "state": result.state.value,
                "text": result.text,
                "fix": result.fix or None,
            }
            for result in results
        ],
    }
