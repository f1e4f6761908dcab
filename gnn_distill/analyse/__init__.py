"""Recorded messages against the true forces: fits and scores, in plain NumPy."""
