"""Read records: verify their chain, list them, count them, and join them with CloudTrail."""
