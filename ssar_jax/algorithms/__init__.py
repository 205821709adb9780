"""The algorithms, one file each, and the functions that several of them share."""
