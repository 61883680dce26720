"""The interface to the operating system: files, permissions, signals, exec."""

import sys

SYSTEM_FILE = f"{'/private' if sys.platform == 'darwin' else ''}/etc/ssmgate/config.toml"
"""The administrator's configuration. On macOS /etc is a symbolic link."""
