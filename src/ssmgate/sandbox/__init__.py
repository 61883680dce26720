"""A local AWS on moto: the operations that moto lacks, and permissions that are real."""
