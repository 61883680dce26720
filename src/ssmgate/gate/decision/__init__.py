"""Values, rules and words: standard library only, no I/O."""
