"""Where datasets come from: D4RL files, Minari, and the embedded suite."""
