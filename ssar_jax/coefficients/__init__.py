"""The SSAR component, independent of any backbone.

A backbone tells a coefficient how far each dataset action lies inside (+) or outside (-) the trust region of
size n, and gets back one number per state, the strength of its regulariser there.
"""
