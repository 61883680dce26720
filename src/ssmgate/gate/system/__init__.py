"""The interface to the operating system: files, permissions, signals, exec."""

import sys

SYSTEM_FILE = f"{'/private' if sys.platform == 'darwin' else ''}/etc/ssmgate/config.toml"
"""The administrator's configuration. On macOS /etc is a symbolic link."""

SUPPORTED_AWSCLI = ("1.46.3", "1.47")
"""The oldest release of awscli that is supported, and the first that is not: as pyproject.toml."""
