"""Network modules in Flax linen."""
