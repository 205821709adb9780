"""Environments, and all code that steps them."""
