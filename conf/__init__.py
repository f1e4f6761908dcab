"""The configuration tree of gnn_distill, shipped as the package `gnn_distill.conf`."""
