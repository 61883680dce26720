"""All that an allowed session start may load. It imports nothing outside itself."""
