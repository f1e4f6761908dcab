"""Particles made here, outside of the package: recordings whose law is known, in plain NumPy and SciPy."""
