"""A stub of session-manager-plugin, used if that is not installed; it connects to loopback only."""
