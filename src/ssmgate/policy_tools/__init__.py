"""Tools for the authors of policies and for whoever audits accounts: files in, reports out."""
