"""Call AWS with the botocore inside awscli.

Only this package and `gate.argv` import awscli and botocore. Import it before anything that might
import PyPI's botocore: awscli's botocore has the name only if it is imported first.
"""

import os
import re
import sys
from typing import Any

from ssmgate.gate.aws import late
from ssmgate.gate.system import supported

SET_ASIDE = (
    # Makes botocore import and run code that the user chooses, for every client.
    "BOTOCORE_EXPERIMENTAL__PLUGINS",
    # CLI v1's advice on migrating to v2; v2 has no such mode.
    "AWS_CLI_UPGRADE_DEBUG_MODE",
)
"""Environment variables that are removed from this process. The plugin gets them."""


def prepare() -> None:
    """Prepare this process for awscli, once and before awscli is imported.

    * The environment variables in `SET_ASIDE` are removed: awscli and botocore read them while they
      are imported.
    * awscli is imported before botocore, so that its own botocore has the name.
    * Modules of awscli that most starts never use are loaded when they are used (`late`).
    * Booleans in XML other than `true` and `false` are errors: botocore reads them as false, and
      `TRUE` in IsTruncated would hide the next page.

    Two more changes are made elsewhere: `gate.argv.v2.prepare` makes awscli read file:// values
    as AWS CLI v2 does, and `gate.aws.no_prompts.prevent_prompts`, only in the daemon's workers,
    prevents prompts on the terminal.

    Raises `ConfigurationProblem` if awscli is missing or not a supported release, or if another
    botocore was imported before.
    """
    for name in SET_ASIDE:
        os.environ.pop(name, None)
    if fault := _fault():
        from ssmgate.gate.system import awscli_release

        raise awscli_release.unsupported(fault)
    if sys.modules["awscli"].__version__ == late.RELEASE:
        late.install()
    from botocore import parsers

    parsers.BaseXMLResponseParser._handle_boolean = _boolean


def _fault() -> str:
    """Import awscli and its botocore. Returns what is wrong with them, empty if nothing is."""
    try:
        import awscli
    except ModuleNotFoundError:
        return "the Python package awscli is not installed"
    oldest, newer, release = (
        [int(number) for number in re.findall("[0-9]+", text)[:3]]
        for text in (*supported.AWSCLI, awscli.__version__)
    )
    if not oldest <= release < newer:
        return f"awscli {awscli.__version__} is not supported"
    import botocore

    inside = os.path.dirname(os.path.abspath(awscli.__file__)) + os.sep
    if not os.path.abspath(path := str(botocore.__file__)).startswith(inside):
        return f"botocore was imported before awscli, from {path}: which one parses is unknown"
    return ""


def _boolean(_parser: object, _shape: object, node: Any) -> bool:
    return {"true": True, "false": False}[getattr(node, "text", node)]


prepare()

import awscli  # noqa: E402 - not before
import botocore  # noqa: E402

AWSCLI_VERSION: str = awscli.__version__
AWSCLI_DIRECTORY = os.path.dirname(os.path.abspath(awscli.__file__))
BOTOCORE_VERSION: str = botocore.__version__
