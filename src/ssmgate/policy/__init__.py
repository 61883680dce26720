"""The IAM policy language, pure: parse, match, evaluate. It explains; it never grants."""
