"""Initial weights from named random streams.

A layer's draw depends on the seed and the layer's name, not on how many layers came before, so
that two variants under one seed start from the same weights wherever their shapes agree.  Under
"lsuv" they do up to a factor a layer, since its scale is what the layers before make of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ablations.models.layers import Dropout, LocalConv2d
from ablations.models.network import Network, choose
from ablations.models.spec import Conv, Dense, Spec, described

Stream = Callable[[str, torch.device], torch.Generator]
Weighted = nn.Conv2d | LocalConv2d | nn.Linear

CPU = torch.device("cpu")

# Of LSUV: how far a variance may be from 1, and how often a layer is scaled.  Those of the authors' program
# (lsuv_init.py of their LSUVinit repository); the paper's algorithm 1 leaves both open.
TOLERANCE, TRIALS = 0.02, 20

# Unit normal draws (.., outputs, fan-in), fan-in, fan-out -> weights of that shape.  All start from the same
# draws, so that two schemes give weights of the same order and differ in their distribution alone.
INITS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    # He et al. 2015, arXiv 1502.01852, equation 10.
    "kaiming": lambda draw, fan_in, fan_out: draw * (2 / fan_in) ** 0.5,
    # Glorot and Bengio 2010, equation 16; Keras' default.
    "glorot": lambda draw, fan_in, fan_out: _uniform(draw) * (6 / (fan_in + fan_out)) ** 0.5,
    # The same times the gain of 2^.5 that torch.nn.init.calculate_gain gives a rectifier.
    "glorot_relu": lambda draw, fan_in, fan_out: _uniform(draw) * (12 / (fan_in + fan_out)) ** 0.5,
    # What nn.Conv2d and nn.Linear draw for themselves: uniform within 1 / sqrt(fan-in), biases too.
    "torch_default": lambda draw, fan_in, fan_out: _uniform(draw) * fan_in**-0.5,
    # Mishkin and Matas 2016, arXiv 1511.06422, before `_scale_to_unit_variance`.
    "lsuv": lambda draw, fan_in, fan_out: _orthonormal(draw),
}


@torch.no_grad()
def initialise(
    network: Network, spec: Spec, stream: Stream, device: torch.device, images: Callable[[], Tensor] | None = None
) -> Network:
    """`network` on `device`, its weights and its dropout streams drawn from `stream(role, device)`.

    Weights are N(0, weight_std), or as INITS[spec.weight_init] has them where it is None; biases are
    constant, but for "torch_default", which spreads them about that constant.  Weights are drawn on
    the CPU, so that every device starts from the same ones.  "lsuv" scales them there, by what they make of
    `images()`, training inputs (B, C, H, W) on the CPU.  Raises ValueError when it has none, or cannot.
    """
    layers: dict[str, Weighted] = {}
    for name, part in described(spec).items():
        layer = network.get_submodule(f"features.{name}.conv" if isinstance(part, Conv) else f"classifier.{name}")
        assert isinstance(layer, Weighted)
        _fill(layer, part, name, spec.weight_init, stream)
        if part.weight_std is None:
            layers[name] = layer
    if spec.weight_init == "lsuv" and layers:
        if images is None:
            raise ValueError("weight_init 'lsuv' scales weights by training images, and was given none")
        _scale_to_unit_variance(network, layers, images())
    network.to(device)
    for name, module in network.named_modules():
        if isinstance(module, Dropout):
            module.generator = stream(f"dropout/{name}", device)
    return network


def _fill(layer: Weighted, part: Conv | Dense, name: str, scheme: str, stream: Stream) -> None:
    area, outputs = (part.kernel**2, part.channels) if isinstance(part, Conv) else (1, len(layer.weight))
    draw = _unit_draw(layer, part, stream(f"init/{name}", CPU))
    fan_in = draw.shape[-1]
    assert layer.bias is not None
    layer.bias.fill_(part.bias)
    if part.weight_std is not None:
        layer.weight.copy_((draw * part.weight_std).view_as(layer.weight))
        return
    weight = choose("weight_init", scheme, INITS)(draw, fan_in, outputs * area)
    layer.weight.copy_(weight.reshape(layer.weight.shape))
    if scheme == "torch_default":
        layer.bias.add_(
            _uniform(torch.randn(layer.bias.shape, generator=stream(f"init/{name}/bias", CPU))) * fan_in**-0.5
        )


def _unit_draw(layer: Weighted, part: Conv | Dense, generator: torch.Generator) -> Tensor:
    """Unit normals for the weights, a matrix a group; the block diagonal of the dense layer's draw.

    (.., groups, out / groups, in / groups * k * k); row block g of the dense (.., out, in, k, k) keeps its
    columns of group g.  A locally connected layer has its positions in front.
    """
    if isinstance(part, Dense):
        return torch.randn((1, *layer.weight.shape), generator=generator)
    assert not isinstance(layer, nn.Linear)
    positions = layer.weight.shape[:1] if isinstance(layer, LocalConv2d) else ()
    dense = torch.randn((*positions, part.channels, layer.in_channels, part.kernel, part.kernel), generator=generator)
    columns = layer.in_channels // part.groups
    rows = dense.chunk(part.groups, dim=-4)
    kept = [row.narrow(-3, group * columns, columns).flatten(-3) for group, row in enumerate(rows)]
    return torch.stack(kept, dim=-3)


def _uniform(draw: Tensor) -> Tensor:
    """Uniform in (-1, 1) from unit normals, in their order: twice their distribution function, minus one."""
    return torch.erf(draw / 2**0.5)


def _orthonormal(draw: Tensor) -> Tensor:
    """The rows of `draw` (.., rows, columns) made orthonormal, or its columns where they are fewer.

    Uniform over all such matrices, as nn.init.orthogonal_ (Saxe et al. 2014, arXiv 1312.6120).
    """
    tall = draw if draw.shape[-2] >= draw.shape[-1] else draw.mT
    columns, triangle = torch.linalg.qr(tall)
    columns = columns * triangle.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    orthonormal: Tensor = columns if tall is draw else columns.mT
    return orthonormal


def _scale_to_unit_variance(network: Network, layers: Mapping[str, Weighted], images: Tensor) -> None:
    """Scales the weights of `layers`, first to last, until each one's outputs on `images` have variance 1.

    Variances are over the whole output, bias included, before the activation, as in the authors' program.  One pass
    does it: what a layer writes has its final scale when the next one reads it.  Dropout is left out, and a
    batch normalisation takes the statistics of `images`.  Raises ValueError when outputs do not vary.
    """
    names = {layer: name for name, layer in layers.items()}

    def scale(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
        assert isinstance(layer, Weighted)
        for _ in range(TRIALS):
            variance = outputs.var(correction=0)
            if (variance - 1).abs() <= TOLERANCE:
                return outputs
            layer.weight.div_(variance.sqrt())
            outputs = layer.forward(*inputs)
        raise ValueError(f"weight_init 'lsuv': the outputs of {names[layer]} do not vary on the training images")

    normalisations = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [layer.register_forward_hook(scale) for layer in names]
    network.eval()
    for module in normalisations:
        module.train()
    network(images)
    for module in normalisations:
        module.reset_running_stats()
    network.train()
    for handle in handles:
        handle.remove()
