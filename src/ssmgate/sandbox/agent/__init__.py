"""The sandbox's data channel and the agent of all its nodes, in one: what StreamUrl leads to."""
