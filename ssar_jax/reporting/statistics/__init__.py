"""Estimates with intervals over seeds and tasks, and the published scores."""
