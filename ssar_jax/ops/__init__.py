"""Functions of arrays: losses, distributions, gradient steps; no networks and no configs."""
