"""Behaviour policies of the embedded suite, and the datasets they make."""
