"""The table of configuration keys, and how files and environment variables are merged."""
