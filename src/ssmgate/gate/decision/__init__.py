"""Values, rules and messages: standard library only, no I/O."""
