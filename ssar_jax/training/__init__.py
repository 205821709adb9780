"""Training loops: where pure functions meet devices, files and environments."""
