"""What every command needs: flags, configs, overrides, error lines."""
