"""What a run trains before its algorithm: advantage masks and density models, cached."""
