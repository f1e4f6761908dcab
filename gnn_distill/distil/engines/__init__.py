"""Engines of symbolic regression."""
