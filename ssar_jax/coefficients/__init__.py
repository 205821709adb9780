"""The coefficients of SSAR, independent of the algorithms that use them.

An algorithm passes a function that computes the slack of each dataset action, that is by how much it is inside (+) or
outside (-) the policy's trust region of size n. It gets back one coefficient per state, the weight of its regularizer.
"""
