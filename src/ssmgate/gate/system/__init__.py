"""What touches this machine: the plugin, the configuration, signals."""
