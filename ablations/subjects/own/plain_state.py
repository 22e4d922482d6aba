"""The result of `state_dict` as JSON and named arrays, and back.  Nothing is pickled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ablations.core.errors import shown

_BITS = {"bfloat16": "int16"}  # types that numpy lacks -> a type of the same size


def packed(value: Any, arrays: dict[str, Any], path: str = "it") -> Any:
    """Returns `value` as JSON, and puts its arrays and tensors into `arrays` under names that the JSON holds.

    A value is a number, text, None, an array, a tensor, or a list, tuple or dict of values.  Raises TypeError that
    names the place, from `path` on, of anything else.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return {"dict": [[_key(key, path), packed(one, arrays, f"{path}[{key!r}]")] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [packed(one, arrays, f"{path}[{number}]") for number, one in enumerate(value)]}
    name = f"array{len(arrays)}"
    if hasattr(value, "detach"):
        dtype = str(value.dtype).removeprefix("torch.")
        if not str(value.layout).endswith("strided"):
            raise TypeError(f"{path} is a sparse tensor, which no checkpoint can hold; keep its indices and values.")
        value = value.detach().cpu()
        arrays[name] = (value.view(_torch(_BITS[dtype])) if dtype in _BITS else value).numpy()
        return {"tensor": name, "dtype": dtype, **({} if value.is_contiguous() else {"inwards": _inwards(value)})}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        arrays[name] = np.asarray(value)
        return {"array": name}
    raise TypeError(f"{path} is {shown(value)}, which no checkpoint can hold.")


def unpacked(value: Any, arrays: Any) -> Any:
    """Returns the value that `packed` was given, with tensors on the processor."""
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: unpacked(one, arrays) for key, one in value["dict"]}
    if "list" in value:
        return [unpacked(one, arrays) for one in value["list"]]
    if "tuple" in value:
        return tuple(unpacked(one, arrays) for one in value["tuple"])
    if "array" in value:
        return np.array(arrays[value["array"]])[()]
    import torch

    tensor = torch.from_numpy(np.array(arrays[value["tensor"]], order="C"))
    if inwards := value.get("inwards"):
        tensor = tensor.permute(inwards).contiguous().permute([inwards.index(one) for one in range(tensor.dim())])
    return tensor.view(_torch(value["dtype"])) if value["dtype"] in _BITS else tensor


def _inwards(tensor: Any) -> list[int]:
    """Returns the dimensions in the order of their steps in memory, the largest first.

    Fused optimisers assume that a weight and its moments have the same layout.  Moments of channels-last weights that
    came back as (N, C, H, W) would be read in the wrong order, without an error.
    """
    return sorted(range(tensor.dim()), key=lambda one: -tensor.stride(one))


def _key(key: Any, path: str) -> Any:
    if type(key) not in (int, str, bool, float):
        raise TypeError(f"{path} has the key {shown(key)}, which no checkpoint can hold.")
    return key


def _torch(name: str) -> Any:
    import torch

    return getattr(torch, name)
