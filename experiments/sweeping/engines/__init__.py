"""Where the runs of a sweep are executed: `local`, `ray` or `slurm`; `base.py` says what an engine does."""
