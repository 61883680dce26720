"""IAM's allow decisions, cached for seconds; one process asks for many."""
