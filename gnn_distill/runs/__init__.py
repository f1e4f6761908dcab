"""Run directories and sweeps on disk: written, read back, traced to code and versions."""
