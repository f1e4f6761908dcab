"""Graphs of particles, simulated or read from the user's files, and batches of them."""
