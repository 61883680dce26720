"""May I, and why not: asks and explains. Nothing here can start a session, or permit one."""
