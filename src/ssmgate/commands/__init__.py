"""The verbs of `ssmgate` beside start-session; nothing on the start path imports this."""
