"""A stand-in for session-manager-plugin where it is not installed: it talks to loopback only."""
