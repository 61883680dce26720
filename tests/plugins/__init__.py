"""How the tests are run: one plugin for each concern."""

import pytest

_PLUGINS = ("sampling", "patience", "examples", "ways", "durations", "workers", "notes")
NAMES = [f"{__name__}.{name}" for name in _PLUGINS]
"""What conftest.py names to pytest."""

# conftest.py imports some of them before that.
pytest.register_assert_rewrite(*NAMES)
