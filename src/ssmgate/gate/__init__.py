"""Everything that an allowed session start may load. It imports no other part of ssmgate."""
