"""Run folders as records: runs, groups of runs, and their curves."""
