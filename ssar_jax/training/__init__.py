"""Training loops: run algorithms on devices, datasets and environments, without configs or run folders."""
