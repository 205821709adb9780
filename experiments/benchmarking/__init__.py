"""Measurements of `experiments.benchmark`."""
