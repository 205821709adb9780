"""Mathematics: arrays in, arrays out; no networks, no configuration."""
