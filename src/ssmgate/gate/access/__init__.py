"""Questions to IAM, and decisions from its answers."""
