"""The server behind StreamUrl: the sandbox's data channels, and the agent of all its nodes."""
