"""Environments and the only code that steps them."""
