"""Check access and explain denials. Nothing here can start a session or permit one."""
