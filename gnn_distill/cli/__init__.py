"""The commands: gnn-distill and gnn-distill-report."""
