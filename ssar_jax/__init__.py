"""Offline and offline-to-online reinforcement learning with state-adaptive regularization, in JAX."""

__version__ = "0.1.0"
