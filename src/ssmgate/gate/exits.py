"""Exit statuses. No verb exits with 1 or 2. After the handover the status is the plugin's.

https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html for 252 and above.
"""

OK = 0
DENIED = 3
"""Denied, or findings and problems, by a verb that starts nothing."""
UNKNOWN = 4
"""Unknown, or not everything could be looked at, by a verb that starts nothing."""
INTERRUPTED = 130
USAGE = 252
"""The command line, or the request that it makes, is not valid."""
CONFIGURATION = 253
"""ssmgate or AWS is not configured."""
SERVICE = 254
"""AWS answered with an error, or access is denied or could not be checked."""
OTHER = 255
