"""The user's own tracked particles: from a file to the graphs that every other room works on.

In the order in which they run: `files` brings files to arrays, `tracks` checks them, `derive` differentiates
positions where velocities or accelerations are missing, `neighbours` says who interacts with whom, and
`dataset` makes graphs of all this.
"""

from __future__ import annotations

from gnn_distill.data.own.dataset import OwnData

__all__ = ["OwnData"]
