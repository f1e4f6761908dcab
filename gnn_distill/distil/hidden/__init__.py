"""What individuals have that nobody measured: strengths as sources and as receivers, read off a network."""
