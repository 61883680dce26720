"""Modules that are loaded late: what the AWS CLI does with them, and what a placeholder does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dateutil
import pytest

from ssmgate.gate import aws
from ssmgate.gate.aws import late

# What a start has loaded when it reads the command line, awscli's own files alone.
_LOADED = """
import sys
import ssmgate.gate.start
for name, module in sys.modules.items():
    file = getattr(module, "__file__", None)
    if file and name.partition(".")[0] in ("awscli", "botocore"):
        print(file)
"""
_IS_LATE = "type(sys.modules.get({!r})).__name__ == '_Placeholder'"


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def sources() -> list[Path]:
    """Return the files of awscli that a start imports, and those of dateutil's parser."""
    files = [Path(line) for line in python(_LOADED).splitlines()]
    assert {"clidriver.py", "client.py", "credentials.py"} <= {file.name for file in files}
    return [*files, *Path(dateutil.__file__).parent.glob("parser/*.py")]


def misuses(source: str) -> Iterator[str]:
    """Yield the uses in `source` of modules loaded late for which a placeholder will not do.

    Names that are imported from them may only be called, or returned to be called, and the modules
    only be used inside functions: whatever is used outside loads the module at once.
    """
    tree = ast.parse(source)
    functions: set[str] = set()
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if any(alias.name.startswith(f"{name}.") for name in late.LOADED_LATE):
                    yield f"imports {alias.name}"
                if alias.name in late.LOADED_LATE:
                    modules[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                module = f"{node.module or 'dateutil'}.{alias.name}"  # the only relative imports
                if module in late.LOADED_LATE:
                    modules[name] = module
                elif node.module in late.LOADED_LATE:
                    if alias.name in late.LOADED_LATE[node.module]:
                        functions.add(name)
                    elif node.col_offset == 0:
                        yield f"loads {node.module} for {alias.name}"
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        module, _, last = text.rpartition(".")
        is_function = text in functions or last in late.LOADED_LATE.get(modules.get(module, ""), ())
        if (is_function or text in modules) and isinstance(getattr(node, "ctx", None), ast.Load):
            parent = parents[node]
            inside = list(_above(node, parents))
            called = isinstance(parent, ast.Call) and parent.func is node
            returned = isinstance(parent, ast.Tuple) and isinstance(parents[parent], ast.Return)
            if is_function and not (called or returned):
                yield f"line {node.lineno}: {ast.unparse(parent)}"
            if not any(isinstance(one, ast.FunctionDef) for one in inside):
                yield f"line {node.lineno}: {text} outside of a function"


def _above(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """Yield the statements whose bodies contain `node`: neither decorators nor defaults do."""
    while node in parents:
        parent = parents[node]
        if node in getattr(parent, "body", []):
            yield parent
        node = parent


def test_start_uses_late_modules_only_as_placeholders_allow(sources: list[Path]) -> None:
    found = {str(file): list(misuses(file.read_text())) for file in sources}

    assert {file: uses for file, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from dateutil.tz import tzutc\ndef f(x): return isinstance(x, tzutc)",
        "from dateutil.tz import tzutc\nclass Zone(tzutc): pass",
        "from dateutil.tz import tzutc\nUTC = tzutc()",
        "from dateutil.tz import tzfile",
        "from awscli.help import HelpCommand",
        "from awscli import shorthand\nclass A(shorthand.ShorthandParser): pass",
        "import dateutil.parser\nPARSE = dateutil.parser.parse",
        "import jmespath\ndef f(compile=jmespath.compile): pass",
        "import jmespath.exceptions",
        "from dateutil import tz\ndef f(x): return isinstance(x, tz.tzutc)",
    ],
)
def test_recognises_uses_that_need_module(source: str) -> None:
    assert list(misuses(source))


def test_names_are_called_in_start(sources: list[Path]) -> None:
    """A name that no source imports any more would only look as if it were needed."""
    imported = {
        f"{node.module}.{alias.name}"
        for file in [*sources, Path(aws.AWSCLI_DIRECTORY, "botocore", "docs", "__init__.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    table = {f"{module}.{name}" for module, names in late.LOADED_LATE.items() for name in names}

    assert table <= imported


def test_docstrings_are_only_assigned(sources: list[Path]) -> None:
    """What is not made is the docstring of a client's method, and nothing else."""
    (client,) = (file for file in sources if file.parts[-2:] == ("botocore", "client.py"))
    uses = [
        (node.id, type(node.ctx).__name__)
        for node in ast.walk(ast.parse(client.read_text()))
        if isinstance(node, ast.Name) and node.id in {*late.NOT_MADE, "docstring"}
    ]

    assert "_api_call.__doc__ = docstring" in client.read_text()
    assert sorted(uses) == [
        ("ClientMethodDocstring", "Load"),
        ("docstring", "Load"),
        ("docstring", "Store"),
    ]


def test_installed_release_is_checked_one() -> None:
    assert aws.AWSCLI_VERSION == late.RELEASE


def late_after(code: str) -> list[str]:
    """Return the modules of the table that are placeholders after `code`."""
    return python(
        f"{code}\nimport ssmgate.gate.start, sys\nfrom ssmgate.gate.aws import late\n"
        "print(*(n for n in late.LOADED_LATE if isinstance(sys.modules[n], late._Placeholder)))"
    ).split()


def test_start_does_not_load_late_modules() -> None:
    assert late_after("") == [*late.LOADED_LATE]


def test_parsing_and_making_clients_loads_no_late_module() -> None:
    code = (
        "import sys\n"
        "from ssmgate.gate.argv.parse import read\n"
        "from ssmgate.gate.aws.late import LOADED_LATE\n"
        "def loaded(): return [n for n in LOADED_LATE if hasattr(sys.modules[n], '__file__')]\n"
        "line = read(['ssm', 'start-session', '--target', 'i-1', '--region', 'us-east-1'])\n"
        "for name in ('sts', 'iam', 'ssm'): line.session.create_client(name, 'us-east-1')\n"
        "print(loaded(), bool(sys.modules['jmespath'].compile), loaded())"
    )

    assert python(code) == "[] True ['jmespath']\n"


def test_loads_everything_at_once_with_another_release() -> None:
    assert late_after("import awscli; awscli.__version__ = '1.46.4'") == []


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("from dateutil.tz import tzutc; print(tzutc().utcoffset(None))", "dateutil.tz"),
        ("import dateutil.parser; print(dateutil.parser.parse('2026').year)", "dateutil.parser"),
        ("from dateutil.parser import parse; print(parse('2026-11-30').day)", "dateutil.parser"),
        ("import jmespath; print(jmespath.search('a', {'a': 1}))", "jmespath"),
        ("import sqlite3; print(issubclass(sqlite3.Row, object))", "sqlite3"),
        ("from awscli import shorthand; print(shorthand.ShorthandParser)", "awscli.shorthand"),
        ("from awscli.help import HelpCommand; print(HelpCommand)", "awscli.help"),
    ],
)
def test_first_use_loads_module(use: str, name: str) -> None:
    late_ = f"import sys, ssmgate.gate.start; print({_IS_LATE.format(name)})\n"
    file = f"print({_IS_LATE.format(name)}, sys.modules[{name!r}].__file__)"

    before, said, after = python(f"{late_}{use}\n{file}").splitlines()

    assert before == "True"
    assert said == python(f"import awscli\n{use}").strip()
    assert after.startswith("False /")


def test_missing_module_raises_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(late.LOADED_LATE, "ssmgate_has_no_such_module", ("name",))
    monkeypatch.delitem(sys.modules, "ssmgate_has_no_such_module", raising=False)
    late.install()
    function = sys.modules["ssmgate_has_no_such_module"].name

    with pytest.raises(ModuleNotFoundError):
        function()


def test_placeholder_is_not_package_and_has_no_file() -> None:
    placeholder = late._Placeholder("jmespath")

    assert not hasattr(placeholder, "__path__")
    assert not hasattr(placeholder, "__file__")
