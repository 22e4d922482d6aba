"""Initial weights from named random streams.

A layer's draw depends on the seed and the layer's name, not on how many layers came before, so
that two variants under one seed start from the same weights wherever their shapes agree.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.layers import Dropout
from models.network import Network
from models.spec import Spec

Stream = Callable[[str, torch.device], torch.Generator]


@torch.no_grad()
def initialise(network: Network, spec: Spec, stream: Stream, device: torch.device) -> Network:
    """`network` on `device`, its weights and its dropout streams drawn from `stream(role, device)`.

    Weights are N(0, weight_std), or N(0, 2 / fan-in) where it is None (He et al. 2015); biases are
    constant.  Weights are drawn on the CPU, so that every device starts from the same ones.
    """
    cpu = torch.device("cpu")
    for block, conv in zip(spec.blocks, network.features, strict=True):
        name = f"init/{_name_of(network.features, conv)}"
        layer = conv.get_submodule("conv")
        assert isinstance(layer, nn.Conv2d)
        _fill(layer, _grouped_draw(layer, stream(name, cpu)), block.weight_std, block.bias)
    linears = [(name, layer) for name, layer in network.classifier.named_children() if isinstance(layer, nn.Linear)]
    choices = [*((dense.weight_std, dense.bias) for dense in spec.hidden), (spec.classifier_weight_std, 0.0)]
    for (name, linear), (weight_std, bias) in zip(linears, choices, strict=True):
        draw = torch.randn(linear.weight.shape, generator=stream(f"init/{name}", cpu))
        _fill(linear, draw, weight_std, bias)
    network.to(device)
    for name, module in network.named_modules():
        if isinstance(module, Dropout):
            module.generator = stream(f"dropout/{name}", device)
    return network


def _grouped_draw(layer: nn.Conv2d, generator: torch.Generator) -> Tensor:
    """Unit normals of the layer's shape: the block diagonal of what a dense layer would draw.

    (out, in / groups, k, k); row block g of the dense (out, in, k, k) keeps its columns of group g.
    """
    shape = (layer.out_channels, layer.in_channels, *layer.kernel_size)
    dense = torch.randn(shape, generator=generator)
    rows, columns = dense.chunk(layer.groups, dim=0), layer.in_channels // layer.groups
    return torch.cat([row[:, g * columns : (g + 1) * columns] for g, row in enumerate(rows)])


def _fill(layer: nn.Conv2d | nn.Linear, draw: Tensor, weight_std: float | None, bias: float) -> None:
    fan_in = layer.weight[0].numel()
    layer.weight.copy_(draw * ((2 / fan_in) ** 0.5 if weight_std is None else weight_std))
    assert layer.bias is not None
    layer.bias.fill_(bias)


def _name_of(parent: nn.Module, child: nn.Module) -> str:
    return next(name for name, module in parent.named_children() if module is child)
