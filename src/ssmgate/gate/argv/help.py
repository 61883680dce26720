"""The AWS CLI's help as plain text where groff and mandoc are missing."""

from __future__ import annotations

import contextlib
import sys

from awscli.help import ExecutableNotFoundError, PosixHelpRenderer, WindowsHelpRenderer

_HINT = "ssmgate: hint: help is shown as plain text; with groff or mandoc it is a manual page\n"


class HelpRenderer(PosixHelpRenderer):
    """The AWS CLI's renderer; it uses the one for Windows where this one lacks its programs."""

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
