"""Whole runs: from a config to a folder of results."""
