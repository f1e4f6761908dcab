"""The user's own tracked particles: from a file to the graphs that every other room works on.

`files` reads arrays and `table` the long format; both give a dict of arrays that `tracks` checks.
`derive` differentiates positions where velocities or accelerations are missing, `graph` says who
interacts with whom, and `dataset` puts them in this order.
"""

from __future__ import annotations

from gnn_distill.data.own.dataset import OwnData

__all__ = ["OwnData"]
