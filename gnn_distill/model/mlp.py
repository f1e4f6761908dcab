"""Networks of ReLU or SiLU units: one autograd node on the CPU, float32 where bfloat16 would lose the signal.

On the CPU a training step spends its time in small matrix products. There the whole network is one autograd
node whose wide products run in oneDNN: on an AMD processor with AVX-512 twice as fast as the float32 products
of MKL that `nn.Linear` takes (docs/benchmarks.md). With AVX2 alone MKL is the faster and is taken. Elsewhere,
in evaluation and under `torch.compile` it is the plain sequence of its layers.

Under autocast the first layer stays in float32, because Δ is a small difference of large coordinates; and
so does the last layer of φv, because its rounding would be an error of the prediction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

WIDE = 64  # columns of the wider side from which on oneDNN is the faster for a weight's gradient in float32
ROWS = 256  # rows are filled up to a multiple: oneDNN makes code anew for each number of them


class MLP(nn.Sequential):
    """A network with `layers` hidden layers of `width` units.

    Args:
        inputs: width of the input.
        outputs: width of the output.
        width: units of a hidden layer.
        layers: hidden layers.
        activation: of the hidden units; others than ReLU and SiLU take the plain sequence everywhere.
        exact_output: keep the last layer in float32 under autocast.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        layers: int,
        *,
        activation: type[nn.Module] = nn.ReLU,
        exact_output: bool = False,
    ) -> None:
        sizes = [inputs, *[width] * layers]
        hidden = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), activation())]
        super().__init__(*hidden, nn.Linear(width, outputs))
        self.exact_output, self.activation = exact_output, activation

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to float32 [..., outputs], or to the input's type where that is wider."""
        device = x.device.type
        mixed = torch.is_autocast_enabled(device)
        known = self.activation in (nn.ReLU, nn.SiLU)
        if self.training and known and _fusable(x) and (not mixed or _BFLOAT16):
            inner = torch.get_autocast_dtype(device) if mixed else x.dtype
            final = torch.float32 if self.exact_output else inner
            smooth = self.activation is nn.SiLU
            flat = x.flatten(0, -2)
            count = len(flat)
            if spare := -count % ROWS:
                flat = nn.functional.pad(flat, (0, 0, 0, spare))
            flat = _FusedMLP.apply(flat, smooth, inner, final, *self.parameters())
            return flat[:count].unflatten(0, x.shape[:-1])
        if not mixed:
            return super().forward(x)
        first, *hidden, last = self
        with torch.autocast(device, enabled=False):
            x = first(x.float())
        for layer in hidden:
            x = layer(x)
        with torch.autocast(device, enabled=not self.exact_output):
            return last(x.float()).float()


def _fusable(x: Tensor) -> bool:
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and torch.is_grad_enabled()
    return plain and _ONEDNN and not torch.compiler.is_compiling()


_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_AVX512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
_BFLOAT16 = _ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""Whether oneDNN has bfloat16 products on this processor; with AVX2 alone it has none, and raises."""


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x·weightᵀ + bias in the library that is the faster here."""
    if x.dtype == torch.float32 and not _AVX512:
        return nn.functional.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _FusedMLP(torch.autograd.Function):
    """A network of ReLU units, or of SiLU where it is `smooth`; gradients of first order."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, smooth: bool, inner: torch.dtype, final: torch.dtype, *parameters: Tensor
    ) -> Tensor:
        weights, biases = parameters[0::2], parameters[1::2]
        types = [torch.float32, *[inner] * (len(weights) - 2), final]
        inputs, used, sums = [], [], []
        for weight, bias, kind in zip(weights, biases, types, strict=True):
            x, w = x.to(kind), weight.to(kind)
            inputs.append(x)
            used.append(w)
            x = _linear(x, w, bias.to(kind))
            if len(used) < len(weights):
                if smooth:
                    sums.append(x)
                    x = nn.functional.silu(x)
                else:
                    x.relu_()  # not oneDNN's own, which makes 0 of NaN
        ctx.save_for_backward(*inputs, *used, *sums)
        return x.float()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        layers = (len(ctx.needs_input_grad) - 4) // 2
        saved = ctx.saved_tensors
        inputs, weights, sums = saved[:layers], saved[layers : 2 * layers], saved[2 * layers :]
        gradients: list[Tensor | None] = [None] * (2 * layers)
        for k in reversed(range(layers)):
            x, w = inputs[k], weights[k]
            g = g.to(w.dtype)
            gradients[2 * k] = _outer(g, x).float()
            gradients[2 * k + 1] = g.sum(0).float()
            if k > 0:
                g = _linear(g, w.T)
                if sums:
                    torch.ops.aten.silu_backward.grad_input(g, sums[k - 1], grad_input=g)
                else:
                    torch.ops.aten.threshold_backward.grad_input(g, x, 0, grad_input=g)
        into_x = _linear(g, weights[0].T) if ctx.needs_input_grad[0] else None
        return into_x, None, None, None, *gradients


def _outer(g: Tensor, x: Tensor) -> Tensor:
    """Gradient of the weight, gᵀ·x; in float32 by oneDNN where it is the faster, the narrower side first."""
    if not (_AVX512 and g.dtype == torch.float32 and max(g.shape[1], x.shape[1]) >= WIDE):
        return g.T @ x
    return _linear(x.T, g.T).T if x.shape[1] < g.shape[1] else _linear(g.T, x.T)
