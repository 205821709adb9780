"""Reports on many runs, without JAX, so that they can be made on any machine.

Imports between the folders run one way: read <- statistics <- figures <- page.
"""
