"""How the tests are run: one concern each."""

import pytest

NAMES = [f"{__name__}.{name}" for name in ("sampling", "patience", "examples", "ways", "durations")]
"""What conftest.py names to pytest."""

# conftest.py imports some of them before that.
pytest.register_assert_rewrite(*NAMES)
