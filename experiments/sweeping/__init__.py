"""Parts of `experiments.sweep`: plan, estimates, processes, tables."""
