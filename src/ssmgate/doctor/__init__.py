"""Find out whether this machine can start sessions: one function for each line of the report.

The functions change nothing and start nothing. Those that look at this machine get the environment
and the configuration; those that judge answers of AWS get values.
"""
