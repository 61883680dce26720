"""The messages of Session Manager's data channel and their order, for both ends. No I/O."""
