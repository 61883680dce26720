"""The AWS CLI's help of the command, as plain text if groff and mandoc are missing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from awscli.customizations.addexamples import add_examples
from awscli.help import ExecutableNotFoundError, PosixHelpRenderer, WindowsHelpRenderer

from ssmgate.gate import printer
from ssmgate.gate.aws.service_models import AwscliModels

_HINT = "ssmgate: hint: help is shown as plain text; with groff or mandoc it is a manual page\n"


class HelpRenderer(PosixHelpRenderer):
    """The AWS CLI's renderer, which uses the one for Windows if its programs are missing."""

    def _convert_doc_content(self, contents: bytes) -> bytes:
        """Return `contents`, reStructuredText, as a formatted manual page or as plain text."""
        try:
            converted: bytes = super()._convert_doc_content(contents)
        except ExecutableNotFoundError:
            converted = WindowsHelpRenderer()._convert_doc_content(contents)
            with contextlib.suppress(OSError, AttributeError):  # closed or full
                sys.stderr.write(_HINT)
                sys.stderr.flush()
        return converted

    def _send_output_to_pager(self, output: bytes) -> None:
        """Page `output`. Without a pager write it, and raise `GateError` if that fails."""
        if self._exists_on_path(self.get_pager_cmdline()[0]):
            super()._send_output_to_pager(output)
        else:
            printer.answer(output.decode("utf-8", "replace") + "\n")


def create_command(operation: Any, create: Callable[[], Any]) -> Any:
    """Return the CLI's help command for its `operation`, with examples. `create` makes it."""
    # The models of a start have no documentation.
    operation._session.register_component("data_loader", AwscliModels(documented=True))
    model = operation._session.get_service_model("ssm")
    operation._operation_model = model.operation_model("StartSession")
    operation._arg_table = None
    operation._session.register("doc-examples.*.*", add_examples)
    command = create()
    command.renderer = HelpRenderer()
    # As in the CLI: the command does not print the service's output.
    operation._operation_model.output_shape = None
    return command
