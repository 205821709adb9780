"""Sources of datasets: D4RL files, Minari, and the embedded suite."""
