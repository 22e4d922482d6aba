"""Draws initial weights from named random streams.

A layer's draw depends on the seed and the layer's name, not on how many layers came before it, so
two variants under one seed start from the same weights wherever their shapes agree.  Under "lsuv"
the weights agree only up to one factor per layer, because a layer's scale depends on its inputs.
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

# LSUV: how far the variance may be from 1, and how often a layer is rescaled at most.  Both numbers are those of the
# authors' program (lsuv_init.py in their LSUVinit repository); algorithm 1 of the paper leaves them open.
TOLERANCE, TRIALS = 0.02, 20

# Each scheme maps unit normal draws (.., outputs, fan-in), fan-in and fan-out to weights of the draws' shape.  All
# schemes start from the same draws, so that two variants with different schemes are still paired: the largest draw
# becomes the largest weight under each scheme that works element by element.
INITS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    # He et al. 2015, arXiv 1502.01852, equation 10.
    "kaiming": lambda draw, fan_in, fan_out: draw * (2 / fan_in) ** 0.5,
    # Glorot and Bengio 2010, equation 16; Keras' default.
    "glorot": lambda draw, fan_in, fan_out: _uniform(draw) * (6 / (fan_in + fan_out)) ** 0.5,
    # "glorot" times 2^.5, the gain that torch.nn.init.calculate_gain gives for ReLU.
    "glorot_relu": lambda draw, fan_in, fan_out: _uniform(draw) * (12 / (fan_in + fan_out)) ** 0.5,
    # The default of nn.Conv2d and nn.Linear: uniform within 1 / sqrt(fan-in), for biases too.
    "torch_default": lambda draw, fan_in, fan_out: _uniform(draw) * fan_in**-0.5,
    # Mishkin and Matas 2016, arXiv 1511.06422; `_scale_to_unit_variance` does the second half.
    "lsuv": lambda draw, fan_in, fan_out: _orthonormal(draw),
}


@torch.no_grad()
def initialise(
    network: Network, spec: Spec, stream: Stream, device: torch.device, images: Callable[[], Tensor] | None = None
) -> Network:
    """Draws the weights of `network`, moves it to `device` and gives each dropout layer its own stream.

    A layer with a `weight_std` gets weights from N(0, weight_std); the others follow INITS[spec.weight_init].
    Biases are constant, except under "torch_default", which draws them around that constant.  All generators come
    from `stream(role, device)`.  Weights are drawn on the CPU, so that every device starts from the same ones.
    "lsuv" also scales them on the CPU, by the outputs that they give for `images()`, training inputs (B, C, H, W).
    Returns `network` itself.  Raises ValueError when "lsuv" is given no images, or cannot scale a layer.
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
    """Draws unit normals for the weights of a layer: (.., groups, out / groups, in / groups * k * k).

    A grouped layer takes the block diagonal of what the ungrouped layer would draw: of the dense draw
    (.., out, in, k, k), row block g keeps the input channels of group g.  So toggling the grouping leaves the
    remaining weights as they are.  A locally connected layer has its positions as the leading dimension.
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
    """Maps unit normals to uniform numbers in (-1, 1), keeping their order.

    That is 2 Phi(x) - 1, where Phi is the normal distribution function, which equals erf(x / sqrt(2)).
    """
    return torch.erf(draw / 2**0.5)


def _orthonormal(draw: Tensor) -> Tensor:
    """Makes the rows of `draw` (.., rows, columns) orthonormal, or its columns if there are fewer of them.

    The result is uniform over all such matrices, as that of nn.init.orthogonal_ is (Saxe et al. 2014, arXiv 1312.6120).
    """
    tall = draw if draw.shape[-2] >= draw.shape[-1] else draw.mT  # QR makes columns orthonormal, so they must be fewer
    columns, triangle = torch.linalg.qr(tall)
    # QR leaves the sign of each column open.  A positive diagonal fixes it, without which the matrix is not uniform.
    columns = columns * triangle.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    orthonormal: Tensor = columns if tall is draw else columns.mT
    return orthonormal


def _scale_to_unit_variance(network: Network, layers: Mapping[str, Weighted], images: Tensor) -> None:
    """Scales the weights of `layers`, from the first to the last, until the outputs of each have variance 1.

    `images` (B, C, H, W) are what the network reads.  As in the authors' program, a variance is taken over the whole
    output of a layer, bias included, before the activation.  Dropout is switched off, and a batch normalisation uses
    the statistics of `images`.  Raises ValueError when the outputs of a layer do not vary.
    """
    names = {layer: name for name, layer in layers.items()}

    # A forward hook replaces the outputs of its layer, so the next layer reads outputs of the final scale and one
    # forward pass is enough for the whole network.
    def scale(layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
        assert isinstance(layer, Weighted)
        for _ in range(TRIALS):
            variance = outputs.var(correction=0)
            if (variance - 1).abs() <= TOLERANCE:
                return outputs
            # One division is enough up to rounding, since the biases of a layer are all equal here.  Outputs that do
            # not vary become infinite or nan, never pass the check above, and end in the error below.
            layer.weight.div_(variance.sqrt())
            outputs = layer.forward(*inputs)  # not layer(..), which would call this hook again
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
