"""Pretraining of a run: advantage masks and density models, cached."""
