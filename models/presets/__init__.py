"""Named reference Specs, one file per family of networks.  Each names its source; nothing here imports torch."""

from ablations.models.presets import alexnet, cifar, copies, cuda_convnet, vgg
from ablations.models.presets.registry import PRESETS, Preset, preset

__all__ = ["PRESETS", "Preset", "alexnet", "cifar", "copies", "cuda_convnet", "preset", "vgg"]
