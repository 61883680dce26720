"""Questions to IAM and what follows from its answers."""
