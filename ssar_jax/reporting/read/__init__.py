"""Run folders as records: runs, groups of runs, curves."""
