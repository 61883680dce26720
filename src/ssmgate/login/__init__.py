"""`ssmgate login`: what people get on a bastion instead of a shell."""
