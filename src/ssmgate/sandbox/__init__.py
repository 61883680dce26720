"""A local AWS based on moto, with the operations that moto lacks and enforced permissions."""
