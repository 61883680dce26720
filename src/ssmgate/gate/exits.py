"""Exit statuses. No verb exits with 1 or 2. After the handover the status is the plugin's.

https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html for 252 and above.
"""

OK = 0
DENIED = 3
"""Access is denied, or there are findings or problems. For verbs that start no session."""
UNKNOWN = 4
"""Access is unknown, or not everything could be checked. For verbs that start no session."""
INTERRUPTED = 130
USAGE = 252
"""The command line, or the request in it, is invalid."""
CONFIGURATION = 253
"""ssmgate or AWS is not configured."""
SERVICE = 254
"""AWS answered with an error, or access is denied or could not be checked."""
OTHER = 255
