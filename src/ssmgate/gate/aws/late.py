"""Load modules that most session starts never use only when they are used.

Loading the AWS CLI is most of a start's time, and a part of what it imports serves help, output
formats, documentation and times. Before the AWS CLI is imported, `install` puts a placeholder into
`sys.modules` for each module in `LOADED_LATE`. A placeholder has no behavior of its own: its first
use imports the module as Python would have, from the same file, and everything after that goes to
the module itself. So it changes when a module is loaded, not what is parsed or sent. Whether the
AWS CLI uses the modules only in the ways that the table assumes is tested against its source
(`test_late.py`); for any other release than `RELEASE` everything is loaded at once.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

RELEASE = "1.46.3"
"""The release of awscli for which `LOADED_LATE` was checked."""

LOADED_LATE: dict[str, tuple[str, ...]] = {
    # Help, which imports docutils: a start makes none. `gate.argv.help` loads it.
    "awscli.help": ("OperationHelpCommand", "ProviderHelpCommand", "ServiceHelpCommand"),
    # Prints answers of services as JSON, text or a table: the plugin prints a session.
    "awscli.formatter": ("get_formatter",),
    # Parses key=value, which few command lines have; its regular expressions take 8 ms.
    "awscli.shorthand": (),
    # Write botocore's documentation. The docstrings are those of clients' methods.
    "botocore.docs.service": ("ServiceDocumenter",),
    "botocore.docs.docstring": ("ClientMethodDocstring", "PaginatorDocstring"),
    # Chosen by `retry_mode = adaptive`; and polls a resource until it has a state.
    "botocore.retries.adaptive": (),
    "botocore.waiter": (),
    # Times in cached credentials and in answers of services other than those of a start.
    "dateutil.parser": ("parse",),
    "dateutil.tz": ("tzlocal", "tzutc"),
    # Evaluates --query, and parameters of services that have endpoints of their own for them.
    "jmespath": (),
    # The AWS CLI's history of commands, which ssmgate does not write.
    "sqlite3": (),
}
"""Modules, each with the names that are imported from it by `from MODULE import NAME`.

Those must be functions, or classes that are only called: a placeholder returns a function that
calls the original. Any other name loads the module.
"""

NOT_MADE = frozenset({"ClientMethodDocstring"})
"""Called for each method of each client, only for its `__doc__`: the function returns None."""

_loading = threading.RLock()


def install() -> None:
    """Put the placeholders into `sys.modules`, except for modules that are loaded already.

    Call it before the modules that import them are imported.
    """
    for name in LOADED_LATE:
        if name not in sys.modules:
            package, _, last = name.rpartition(".")
            top = package.partition(".")[0]
            sys.modules[name] = placeholder = _Placeholder(name)
            # `import dateutil.parser` sets no attribute for a module that seems to be loaded.
            if top and package in (top, *sys.modules):
                setattr(importlib.import_module(package), last, placeholder)


class _Placeholder(ModuleType):
    """A module that is loaded when an attribute is used that is not in `LOADED_LATE`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Python reads it at each import of the module, to see whether another thread loads it.
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        own = self.__name__
        if name in ("__path__", "__file__"):  # read by `from MODULE import NAME`, and by tracebacks
            raise AttributeError(name)
        if sys.modules.get(own) is self and name in LOADED_LATE[own]:
            return _function(self, name)
        return getattr(load(own), name)


def load(name: str) -> ModuleType:
    """Return the module `name`, loaded by now. Raises `ImportError` as Python's import does."""
    with _loading:
        if isinstance(sys.modules.get(name), _Placeholder):
            del sys.modules[name]
        return importlib.import_module(name)


def _function(placeholder: ModuleType, name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if name in NOT_MADE:
            return None
        return getattr(load(placeholder.__name__), name)(*args, **kwargs)

    function.__name__ = name
    return function
