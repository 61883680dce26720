"""The releases of other programs that are supported."""

AWSCLI = ("1.46.3", "1.47")
"""The oldest release of awscli that is supported, and the first that is not: as pyproject.toml."""
