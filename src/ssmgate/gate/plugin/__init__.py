"""session-manager-plugin: find it, hand the session over, restore the terminal."""
