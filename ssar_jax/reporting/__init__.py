"""What a run tells: written without JAX, so that reports read runs anywhere."""
