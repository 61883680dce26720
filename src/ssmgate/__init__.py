"""`aws ssm start-session` with the session-document permission check enforced before it starts."""

__version__ = "0.1.0"
