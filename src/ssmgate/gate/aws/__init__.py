"""What calls AWS, by the botocore inside awscli.

Only `gate.argv` imports awscli and botocore besides. Import this package before anything that
might import PyPI's botocore: awscli takes the name only when it comes first.
"""

import importlib.util
import os
import sys

SET_ASIDE = (
    # A variable of the user's that makes botocore import and run code at every client.
    "BOTOCORE_EXPERIMENTAL__PLUGINS",
    # CLI v1's advice on moving to v2; v2 has no such mode.
    "AWS_CLI_UPGRADE_DEBUG_MODE",
)
"""Variables that this process does without. The plugin gets them."""

for name in SET_ASIDE:
    os.environ.pop(name, None)

import awscli  # noqa: E402 - the variables first
import botocore  # noqa: E402

AWSCLI_VERSION: str = awscli.__version__
AWSCLI_FOLDER = os.path.dirname(os.path.abspath(awscli.__file__))

if not os.path.abspath(botocore.__file__).startswith(AWSCLI_FOLDER + os.sep):
    raise ImportError("botocore was imported before awscli: which one parses would be a guess")

BOTOCORE_VERSION: str = botocore.__version__


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


for name in (
    "awscli.shorthand",  # key=value: few lines have one, and its expressions take 8 ms to compile
    "botocore.retries.adaptive",
    "botocore.waiter",
):
    _load_late(name)
