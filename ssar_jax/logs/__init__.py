"""Logs of a run while it trains: CSV, JSON lines, TensorBoard and W&B. No JAX."""
