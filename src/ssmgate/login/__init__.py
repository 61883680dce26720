"""`ssmgate login`: the login program of a bastion's users, instead of a shell."""
