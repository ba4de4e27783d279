"""Pure rules of the bridge."""
