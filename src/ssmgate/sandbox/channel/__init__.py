"""Session Manager's data channel, as both ends of it need it: messages and their order. Pure."""
