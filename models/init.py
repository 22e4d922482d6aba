"""Initial weights from named random streams.

A layer's draw depends on the seed and the layer's name, not on how many layers came before, so
that two variants under one seed start from the same weights wherever their shapes agree.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.layers import Dropout, LocalConv2d
from models.network import Network, choose
from models.spec import Conv, Dense, Spec, described

Stream = Callable[[str, torch.device], torch.Generator]
Weighted = nn.Conv2d | LocalConv2d | nn.Linear

CPU = torch.device("cpu")

# Unit normal draws, fan-in, fan-out -> weights.  All start from the same draws, so that two schemes
# give weights of the same order and differ in their distribution alone.
INITS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    # He et al. 2015, arXiv 1502.01852, equation 10.
    "kaiming": lambda draw, fan_in, fan_out: draw * (2 / fan_in) ** 0.5,
    # Glorot and Bengio 2010, equation 16; Keras' default.
    "glorot": lambda draw, fan_in, fan_out: _uniform(draw) * (6 / (fan_in + fan_out)) ** 0.5,
    # What nn.Conv2d and nn.Linear draw for themselves: uniform within 1 / sqrt(fan-in), biases too.
    "torch_default": lambda draw, fan_in, fan_out: _uniform(draw) * fan_in**-0.5,
}


@torch.no_grad()
def initialise(network: Network, spec: Spec, stream: Stream, device: torch.device) -> Network:
    """`network` on `device`, its weights and its dropout streams drawn from `stream(role, device)`.

    Weights are N(0, weight_std), or as INITS[spec.weight_init] has them where it is None; biases are
    constant, but for "torch_default", which spreads them about that constant.  Weights are drawn on
    the CPU, so that every device starts from the same ones.
    """
    for name, part in described(spec).items():
        layer = network.get_submodule(f"features.{name}.conv" if isinstance(part, Conv) else f"classifier.{name}")
        assert isinstance(layer, Weighted)
        _fill(layer, part, name, spec.weight_init, stream)
    network.to(device)
    for name, module in network.named_modules():
        if isinstance(module, Dropout):
            module.generator = stream(f"dropout/{name}", device)
    return network


def _fill(layer: Weighted, part: Conv | Dense, name: str, scheme: str, stream: Stream) -> None:
    area, outputs = (part.kernel**2, part.channels) if isinstance(part, Conv) else (1, len(layer.weight))
    fan_in = layer.weight[0].numel() // (outputs if isinstance(layer, LocalConv2d) else 1)
    draw = _unit_draw(layer, part, stream(f"init/{name}", CPU))
    assert layer.bias is not None
    layer.bias.fill_(part.bias)
    if part.weight_std is not None:
        layer.weight.copy_(draw * part.weight_std)
        return
    layer.weight.copy_(choose("weight_init", scheme, INITS)(draw, fan_in, outputs * area))
    if scheme == "torch_default":
        layer.bias.add_(
            _uniform(torch.randn(layer.bias.shape, generator=stream(f"init/{name}/bias", CPU))) * fan_in**-0.5
        )


def _unit_draw(layer: Weighted, part: Conv | Dense, generator: torch.Generator) -> Tensor:
    """Unit normals of the weights' shape; of a grouped layer, the block diagonal of the dense layer's draw.

    (.., out, in / groups, k, k); row block g of the dense (.., out, in, k, k) keeps its columns of
    group g.  A locally connected layer has its positions in front.
    """
    if isinstance(part, Dense):
        return torch.randn(layer.weight.shape, generator=generator)
    assert not isinstance(layer, nn.Linear)
    positions = layer.weight.shape[:1] if isinstance(layer, LocalConv2d) else ()
    dense = torch.randn((*positions, part.channels, layer.in_channels, part.kernel, part.kernel), generator=generator)
    columns = layer.in_channels // part.groups
    rows = dense.chunk(part.groups, dim=-4)
    kept = [row.narrow(-3, group * columns, columns) for group, row in enumerate(rows)]
    return torch.cat(kept, dim=-4).reshape(layer.weight.shape)


def _uniform(draw: Tensor) -> Tensor:
    """Uniform in (-1, 1) from unit normals, in their order: twice their distribution function, minus one."""
    return torch.erf(draw / 2**0.5)
