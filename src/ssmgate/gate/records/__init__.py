"""Audit records of decisions and sessions."""
