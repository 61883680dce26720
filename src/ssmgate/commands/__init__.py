"""The verbs of `ssmgate` other than start-session. The start path does not import them."""
