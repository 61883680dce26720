"""What calls AWS, by the botocore inside awscli.

Only `gate.argv` imports awscli and botocore besides. Import this package before anything that
might import PyPI's botocore: awscli takes the name only when it comes first.
"""

import importlib.util
import os
import sys

SET_ASIDE = (
    # Makes botocore import and run code of the user's choice at every client.
    "BOTOCORE_EXPERIMENTAL__PLUGINS",
    # CLI v1's advice on moving to v2; v2 has no such mode.
    "AWS_CLI_UPGRADE_DEBUG_MODE",
)
"""Environment variables that this process does without. The plugin gets them."""

_LOADED_LATE = (
    "awscli.shorthand",  # key=value: few lines have one, and its expressions take 8 ms to compile
    "botocore.retries.adaptive",
    "botocore.waiter",
)


def prepare() -> None:
    """Change this process for awscli, once and before awscli is imported.

    * The variables in `SET_ASIDE` are removed from the environment: awscli and botocore read them
      while they are imported.
    * awscli is imported before botocore, so that its own botocore takes the name.
    * The modules in `_LOADED_LATE` are loaded when they are used: most starts never use them.

    Two more changes are made where their values are: `gate.argv.v2.prepare` has file:// values read
    as AWS CLI v2 reads them, and `gate.aws.session.ask_nobody`, in the daemon's workers alone, has
    nothing asked on a terminal.

    Raises `ImportError` if another botocore was imported before.
    """
    for name in SET_ASIDE:
        os.environ.pop(name, None)
    import awscli
    import botocore

    inside = os.path.dirname(os.path.abspath(awscli.__file__)) + os.sep
    if not os.path.abspath(botocore.__file__).startswith(inside):
        raise ImportError("botocore was imported before awscli: which one parses would be a guess")
    for name in _LOADED_LATE:
        _load_late(name)


def _load_late(name: str) -> None:
    """Have the module loaded when something in it is used, not when its package hands it out.

    That is for `from PACKAGE import NAME`; `import PACKAGE.NAME` looks into it at once.
    https://docs.python.org/3/library/importlib.html#implementing-lazy-imports
    """
    package, _, last = name.rpartition(".")
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.loader is not None and name not in sys.modules:
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(sys.modules[package], last, module)


prepare()

import awscli  # noqa: E402 - not before
import botocore  # noqa: E402

AWSCLI_VERSION: str = awscli.__version__
AWSCLI_DIRECTORY = os.path.dirname(os.path.abspath(awscli.__file__))
BOTOCORE_VERSION: str = botocore.__version__
