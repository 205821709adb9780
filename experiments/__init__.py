"""The commands: `ssar-jax <name>`, or `python -m experiments.<name>` in the root of the repository."""
