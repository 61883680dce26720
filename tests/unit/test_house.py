"""The rules of the architecture, read from the source: imports, calls, sizes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

import house
from conftest import Machine
from fakes.capabilities import drop_bounding_set
from fakes.daemon_client import running
from fakes.scripted_aws import evaluation
from house import MAY_IMPORT, SOURCE, imports, path_of, room, rooms_imported

MODULES = house.modules()

# Whose botocore a room sees when it is loaded: no room that is not named sees one.
SEES_AWSCLI = {
    "gate.aws", "gate.argv", "gate.start", "gate.shim", "gate.abandoned",
}  # fmt: skip
LAZILY = {
    "explain",
    "login",
    "daemon",
    "doctor",
    "gate.cache",
    "gate.access",
}  # some of their modules do

# What may be imported from outside, the standard library aside.
OUTSIDE = {
    "gate.aws": {"awscli", "botocore"},
    "gate.argv": {"awscli", "botocore", "ruamel"},
    "commands": {"click"},
    "policy_tools": {"ruamel"},
    "sandbox": {"boto3", "botocore", "moto", "werkzeug", "websockets"},
}

# A start loads no other packages of libraries.
START_PACKAGES = {
    "awscli", "botocore", "dateutil", "ssmgate", "urllib3",
    "certifi",  # where it is installed, as moto does, botocore takes it
}  # fmt: skip
NEVER_ON_THE_START_PATH = {
    # Modules that are loaded late (gate.aws.late), and what those would load.
    "awscli.formatter", "awscli.help", "botocore.docs.docstring", "colorama", "ctypes",
    "dateutil.parser", "docutils", "jmespath", "sqlite3",
    "boto3", "click", "ruamel", "yaml", "rsa", "pyasn1", "awscrt", "moto", "ssmgate.commands",
    # A denial may load these two to explain itself; an allowed start never does.
    "ssmgate.explain", "ssmgate.policy_language",
    "ssmgate.sandbox", "ssmgate.login", "ssmgate.doctor",
    "tomllib", "asyncio", "unittest", "pydoc",
}  # fmt: skip


def test_packages_have_order() -> None:
    assert set(house.order()) == {room(module) for module in MODULES}


def test_diagram_matches_table() -> None:
    assert (SOURCE.parents[1] / "docs" / "house.svg").read_text() == house.picture()


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_imports_follow_order(module: Path) -> None:
    here = room(module)
    for there, name in rooms_imported(module).items():
        assert there in MAY_IMPORT[here], f"{here} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_libraries_are_imported_only_in_their_packages(module: Path) -> None:
    allowed = {"ssmgate", *sys.stdlib_module_names, *OUTSIDE.get(room(module), ())}
    assert {name.partition(".")[0] for name in imports(module)} <= allowed


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_files_and_functions_are_short(module: Path) -> None:
    source = module.read_text()

    assert len(source.splitlines()) <= 400
    long = {
        node.name: length
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    }
    assert not long


def test_decisions_do_no_input_or_output() -> None:
    effects = {"os", "io", "socket", "subprocess", "pathlib", "sys", "time", "logging", "signal"}
    for module in MODULES:
        if room(module) == "gate.decision":
            assert not effects & {name.partition(".")[0] for name in imports(module)}, module


def calls_of(name: str) -> set[str]:
    """Return the modules that call `name`, or its last part where it has no dot."""
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call):
                function = node.func
                called = getattr(function, "id", None) or getattr(function, "attr", None)
                if name in (called, ast.unparse(function)):
                    found.add(str(module.relative_to(SOURCE)))
    return found


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("Permit", "gate/decision/decision.py"),
        ("override", "gate/start.py"),
        ("leave_to_service", "gate/access/unasked.py"),
        ("Question.about", "gate/access/questions.py"),
        ("exec_aws", "gate/shim.py"),
        ("exec_shell", "gate/shim.py"),
        ("format_exc", "gate/print_error.py"),
        ("getpass", "gate/aws/mfa.py"),
    ],
)
def test_names_occur_only_in_their_module(what: str, where: str) -> None:
    assert calls_of(what) == {where}


def test_nothing_is_unpickled() -> None:
    """The author of a pickle can make its reader execute any code, and so make a permit."""
    for module in MODULES:
        found = {name.partition(".")[0] for name in imports(module)}
        assert not found & {"pickle", "marshal", "shelve", "dbm"}, module


def test_questions_are_built_in_one_place() -> None:
    """A cached question is read as written, and compared with the one that is built."""
    assert calls_of("Question") == {"gate/cache/entry.py"}
    deciders = ("gate.access.authorize", "explain.live", "explain.documents", "explain.offline",
                "login.menu")  # fmt: skip
    for module in deciders:
        path = path_of(f"ssmgate.{module}")
        assert path is not None
        assert "ssmgate.gate.access.questions" in set(imports(path)), module


def test_only_start_session_sends_request() -> None:
    assert calls_of("start_session") == {"gate/aws/start_session.py", "gate/start.py"}


def reach(start: str) -> set[str]:
    """Return the modules of ssmgate that `start` imports directly or indirectly, lazily or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        module = path_of(name)
        if name not in found and module is not None:
            found.add(name)
            waiting += imports(module)
    return found


@pytest.mark.parametrize("verb", ["check", "documents", "doctor", "policy"])
def test_read_only_commands_cannot_start_session(verb: str) -> None:
    """They import no module that uses a permit, neither the plugin nor the gate.

    `doctor` runs the plugin with --version, and cannot hand a session over to it.
    """
    within = reach(f"ssmgate.commands.{verb}")

    assert within >= {
        "ssmgate.gate.aws.simulate",
        "ssmgate.explain.target",
        "ssmgate.gate.decision.decision",
    }
    assert not within & {
        "ssmgate.gate.start",
        "ssmgate.gate.aws.start_session",
        "ssmgate.gate.plugin.handover",
        *(["ssmgate.gate.plugin.find"] if verb != "doctor" else []),
    }


def test_read_only_clients_cannot_start_session() -> None:
    code = (
        "from ssmgate.gate.aws import session as sessions\n"
        "from ssmgate.gate.aws.asking_session import only_ask\n"
        "s = sessions.new_session(sessions.MfaPrompt()); only_ask(s)\n"
        "c = [s.create_client(n, region_name='us-east-1', aws_access_key_id='a',"
        " aws_secret_access_key='b') for n in ('ssm', 'iam', 'sts', 'ec2')]\n"
        "print(*sorted(o for one in c for o in one.meta.service_model.operation_names))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    operations = result.stdout.split()

    assert "SimulatePrincipalPolicy" in operations
    others = [o for o in operations if not o.startswith(("Get", "List", "Describe", "Simulate"))]
    assert others == ["AssumeRole", "AssumeRoleWithWebIdentity"]


# What prints, by the module that may: each sees to it that only printable text comes through.
EDGES = {
    "gate/printer.py": {"sys.stderr", "sys.stdout"},
    "gate/waiting.py": {"os.write"},
    "commands/completion.py": {"sys.stdout"},
    "gate/process.py": {"sys.stdout"},  # flushed
    "commands/printer.py": {"click.echo", "sys.stdout"},  # whether it is closed
    "login/menu.py": {"os.write"},  # the person's terminal
    "sandbox/__main__.py": {"logging.basicConfig", "logging.StreamHandler"},
    # These texts are ssmgate's: one constant line, a line break.
    "gate/argv/help.py": {"sys.stderr"},
    "daemon/ending.py": {"os.write"},
    # No terminal: files and pipes; and the stub plugin, whose output is the session's.
    "gate/records/file.py": {"os.write"},
    "daemon/instance_lock.py": {"os.write"},
    "sandbox/agent/work.py": {"os.write"},
    "sandbox/plugin/local_io.py": {"os.write"},
    "sandbox/plugin/session.py": {"os.write"},
    "sandbox/plugin/__main__.py": {"os.write"},
}
PRINTS = {
    "sys": {"stdout", "stderr", "__stdout__", "__stderr__"},
    "click": {
        "echo", "secho", "echo_via_pager", "prompt", "confirm", "pause", "get_text_stream",
        "get_binary_stream", "open_file",
    },
    "os": {"write", "writev", "pwrite", "fdopen"},
    "traceback": {"print_exc", "print_exception", "print_stack", "print_last"},
    "logging": {"basicConfig", "StreamHandler", "lastResort"},
    "warnings": {"warn", "showwarning"},
}  # fmt: skip
OPENED_ELSEWHERE = {"os.fdopen", "os.pwrite"}  # files and pipes of our own, by descriptor


def printing(module: Path) -> set[str]:
    """Return the calls in the source of `module` that print."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in PRINTS.get(node.value.id, ()):
                found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names} & PRINTS.get(node.module or "", set())
            found |= {f"{node.module}.{name}" for name in names}
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if name in ("print", "pprint"):
                found.add(name)
            # The interpreter prints such a text on its way out.
            if name in ("SystemExit", "exit") and any(
                isinstance(a, ast.JoinedStr)
                or (isinstance(a, ast.Constant) and type(a.value) is str)
                for a in node.args
            ):
                found.add(name)
    return found - OPENED_ELSEWHERE


def test_only_printing_modules_print() -> None:
    """One module for each stream, so that no text of others reaches a terminal unescaped."""
    assert {
        str(module.relative_to(SOURCE)): found for module in MODULES if (found := printing(module))
    } == EDGES


@pytest.mark.parametrize(
    "code",
    [
        "print(x)",
        "import click\nclick.secho(x)",
        "from click import echo",
        "import sys\nsys.stderr.write(x)",
        "from sys import stdout",
        "import os\nos.write(2, x)",
        "import traceback\ntraceback.print_exc()",
        "raise SystemExit(f'no {x}')",
    ],
)
def test_recognises_code_that_prints(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)

    assert printing(tmp_path / "module.py")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_each_module_declares_which_botocore_it_uses(module: Path) -> None:
    """Each is imported first in a fresh interpreter: no order may load botocore of PyPI."""
    name = ".".join(("ssmgate", *module.relative_to(SOURCE).with_suffix("").parts))
    name = name.removesuffix(".__init__")
    code = (
        f"import sys, {name}\n"
        "b = sys.modules.get('botocore')\n"
        "print('none' if b is None else 'awscli' if '/awscli/botocore/' in b.__file__ else b)"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()

    here = room(module)
    if here == "sandbox":
        # moto brings PyPI's; awscli is never in that process.
        assert seen != "awscli"
    elif here in LAZILY:
        assert seen in ("none", "awscli")
    else:
        assert seen == ("awscli" if here in SEES_AWSCLI else "none")


def test_stub_plugin_loads_few_modules() -> None:
    """It starts two times for each session: no sandbox server, no SDK, no event loop."""
    code = "import sys, ssmgate.sandbox.plugin.session; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    rooms = {tuple(name.split(".")[:3]) for name in loaded if name.startswith("ssmgate.sandbox.")}
    assert {room[2] for room in rooms} == {"plugin", "channel"}
    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {"moto", "boto3", "botocore", "awscli", "werkzeug", "click", "asyncio"}


def test_channel_does_no_input_or_output() -> None:
    effects = {"os", "io", "socket", "subprocess", "pathlib", "sys", "time", "logging", "signal"}
    for module in MODULES:
        if module.parent.name == "channel":
            assert not effects & {name.partition(".")[0] for name in imports(module)}, module


def test_start_imports_listed_packages(machine: Machine) -> None:
    """The list has the packages that a start loads before exec."""
    loaded = machine.home / "loaded"
    (machine.home / "sitecustomize.py").write_text(
        "import os, sys\n"
        "real = os.execve\n"
        "def execve(*args):\n"
        "    names = (n for n, m in sys.modules.items() if type(m).__name__ != '_Placeholder')\n"
        f"    open({str(loaded)!r}, 'w').write('\\n'.join(names))\n"
        "    real(*args)\n"
        "os.execve = execve\n"
    )
    ended = machine.run("--target", "i-1", PYTHONPATH=str(machine.home), PYTHONWARNINGS=None)
    assert ended.returncode == 0, ended.stderr
    names = set(loaded.read_text().split())

    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    ours = {p for p in packages if not p.startswith(("_", "sitecustomize")) and p != "mypyc"}
    assert ours <= START_PACKAGES, ours - START_PACKAGES
    assert not names & NEVER_ON_THE_START_PATH


CAPS = {"allowed": 6000, "through the daemon": 900}
"""The most lines of ssmgate that a start may load, docstrings and blank lines included."""


def loaded_by(machine: Machine, how: str) -> list[Path]:
    """Return the modules of ssmgate that a start has loaded when it executes the plugin or
    exits.
    """
    (machine.home / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def noting(real):\n"
        "    def noted(*args):\n"
        "        path = os.path.join(os.environ['FAKE_PLUGIN'], f'loaded.{os.getpid()}')\n"
        "        open(path, 'w').write('\\n'.join(sys.modules))\n"
        "        real(*args)\n"
        "    return noted\n"
        "os.execve, os._exit = noting(os.execve), noting(os._exit)\n"
    )
    machine.environ["PYTHONPATH"] = str(machine.home)
    for name in ("PYTHONWARNINGS", "SSMGATE_CACHE_TTL", "SSMGATE_DAEMON"):
        machine.environ.pop(name, None)
    if how == "denied":
        machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))
    code = "import sys; from ssmgate.__main__ import run; run(sys.argv[1:])"
    with running(machine.environ) if how == "through the daemon" else nullcontext():
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, "ssm", "start-session", "--target", "i-1"],
            env=machine.environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=drop_bounding_set,
        )
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode == 0) is (how != "denied"), stderr
    names = (machine.plugin.directory / f"loaded.{process.pid}").read_text().split()
    return [path for name in names if (path := path_of(name))]


@pytest.mark.parametrize("how", ["allowed", "denied", "through the daemon"])
def test_start_loads_limited_number_of_lines(
    machine: Machine, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """README and SECURITY quote the numbers, so that readers know how much code they have to trust.

    The daemon's client runs before the gate, also without a daemon: it has its own number.
    """
    modules = loaded_by(machine, how)
    if how != "through the daemon":
        modules = [m for m in modules if room(m) not in ("daemon", "daemon.client")]
    lines = sum(len(module.read_text().splitlines()) for module in modules)
    with capsys.disabled():
        print(f"\na start ({how}) loads {lines} lines of ssmgate in {len(modules)} modules")
    assert lines <= CAPS.get(how, lines)
    for file in ("README.md", "SECURITY.md"):
        text = " ".join((SOURCE.parents[1] / file).read_text().split())
        quoted = re.search(rf"([0-9][0-9,]*00) lines \({how}\)", text)
        assert quoted, file
        assert abs(int(quoted[1].replace(",", "")) - lines) <= 100, (file, lines)


def asserts(test: ast.AST) -> bool:
    """Return whether a test has an assertion, or calls a helper whose name says that it asserts."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name.startswith("assert_") or name in ("raises", "warns", "fail"):
                return True
    return False


def test_each_test_shows_its_assertion() -> None:
    tests = Path(__file__).parents[1]
    silent = [
        f"{file.relative_to(tests)}: {node.name}"
        for file in sorted(tests.rglob("test_*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not asserts(node)
    ]

    assert silent == []
