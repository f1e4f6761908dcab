"""A plain PyTorch Geometric training loop, as a tutorial would write it: what `train.py` compares with."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing


def network(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(inputs, width), nn.ReLU()),
        *(nn.Linear(width, width), nn.ReLU()),
        *(nn.Linear(width, width), nn.ReLU()),
        nn.Linear(width, outputs),
    )


class Plain(MessagePassing):
    """φe on every edge, messages summed by scatter, φv on every node."""

    def __init__(self, features: int, message_dim: int, dim: int, width: int) -> None:
        super().__init__(aggr="add")
        self.edge_net = network(2 * features, message_dim, width)
        self.node_net = network(features + message_dim, dim, width)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Accelerations [N, D]."""
        return self.propagate(edge_index, x=x)

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """φe."""
        return self.edge_net(torch.cat([x_i, x_j], dim=1))

    def update(self, aggregated: Tensor, x: Tensor) -> Tensor:
        """φv."""
        return self.node_net(torch.cat([x, aggregated], dim=1))


def dataset(features: Tensor, accelerations: Tensor) -> list[Data]:
    n = features.shape[1]
    edges = torch.ones(n, n).fill_diagonal_(0).nonzero().T.contiguous()
    pairs = zip(features, accelerations, strict=True)
    return [Data(x=x, y=a, edge_index=edges) for x, a in pairs]


def steps(
    data: list[Data], batch_size: int, width: int, message_dim: int, steps: int, device: str = "cpu"
) -> Iterator[Tensor]:
    """Train from scratch; yields the loss after each of `steps` optimiser steps."""
    features, dim = data[0].x.shape[1], data[0].y.shape[1]
    model = Plain(features, message_dim, dim, width).to(device)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-8)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
    done = 0
    while done < steps:
        for batch in loader:
            batch = batch.to(device)
            x = batch.x.clone()
            x[:, :dim] += 3.0 * torch.randn(batch.num_graphs, dim, device=device)[batch.batch]
            loss = (model(x, batch.edge_index) - batch.y).abs().sum() / batch.num_graphs
            adam.zero_grad()
            loss.backward()
            adam.step()
            cosine.step()
            done += 1
            yield loss.detach()
            if done == steps:
                return
