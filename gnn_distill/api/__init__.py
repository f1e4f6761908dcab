"""What a notebook needs, in one place; `gnn_distill` exports all of it.

`launch`: compose a configuration and run it; `loaded`: a run directory as an object; `sweeps`: many of them
with their tables; `fits`: linear fits and the pull-back; `distilling`: equations and verdicts for any points;
`plots`: figures that compare runs.
"""

from __future__ import annotations
