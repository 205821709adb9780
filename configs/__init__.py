"""Experiment configurations: commented data, one file for each algorithm."""
