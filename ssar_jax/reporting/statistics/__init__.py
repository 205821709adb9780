"""Estimates with confidence intervals over seeds and tasks, and the published scores."""
