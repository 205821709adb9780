"""Behavior policies of the embedded suite, and the generation of its datasets."""
