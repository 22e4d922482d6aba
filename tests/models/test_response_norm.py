"""models.response_norm, compiled and plain: the formulas written out, torch's own layer, finite differences."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.models.compiled import NotCompiledError, compiled
from ablations.models.response_norm import LocalResponseNorm, ResponseNorm, SameMapNorm, implementation
from ablations.models.spec import Norm

SIZES = [1, 2, 3, 4, 5, 7, 9]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
NORMS: dict[str, Callable[[Norm], ResponseNorm]] = {"lrn": LocalResponseNorm, "same_map": SameMapNorm}
SOURCE = Path("models/response_norm.c").resolve()


def activations(*, channels: int = 12, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    """(B 3, C, H 4, W 5)."""
    generator = torch.Generator().manual_seed(7)
    return scale * torch.randn(3, channels, 4, 5, generator=generator, dtype=dtype)


def norm_of(size: int, *, over_size: bool = True, alpha: float = 0.3, beta: float = 0.75, k: float = 2.0) -> Norm:
    return Norm(size=size, alpha=alpha, beta=beta, k=k, alpha_over_size=over_size)


def torchs(norm: Norm) -> Callable[[Tensor], Tensor]:
    alpha = norm.alpha if norm.alpha_over_size else norm.alpha * norm.size
    return lambda x: F.local_response_norm(x, norm.size, alpha, norm.beta, norm.k)


def by_the_formula(x: Tensor, norm: Norm) -> Tensor:
    """Section 3.3, written out: the sum runs over n maps from i - n / 2 to i + n / 2, cut at the ends."""
    a = norm.alpha / norm.size if norm.alpha_over_size else norm.alpha
    y = torch.empty_like(x)
    channels = x.shape[1]
    for i in range(channels):
        first, last = max(0, i - norm.size // 2), min(channels - 1, i + norm.size // 2)
        total = sum((x[:, j] ** 2 for j in range(first, last + 1)), torch.zeros_like(x[:, i]))
        y[:, i] = x[:, i] / (norm.k + a * total) ** norm.beta
    return y


@pytest.mark.parametrize("beta", [0.75, 0.5])
@pytest.mark.parametrize("over_size", [True, False])
@pytest.mark.parametrize("memory_format", LAYOUTS)
@pytest.mark.parametrize("size", SIZES)
def test_lrn_and_its_gradient_are_those_of_torch(
    size: int, memory_format: torch.memory_format, over_size: bool, beta: float
) -> None:
    norm = norm_of(size, over_size=over_size, beta=beta)
    ours = activations().contiguous(memory_format=memory_format).requires_grad_()
    theirs = activations().requires_grad_()
    weight = activations().flip(0)  # any cotangent that is not constant
    got, expected = LocalResponseNorm(norm)(ours), torchs(norm)(theirs)
    (got * weight).sum().backward()
    (expected * weight).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert got.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("over_size", [True, False])
@pytest.mark.parametrize("size", [3, 5, 9])  # the formula is for an odd n
def test_lrn_is_the_formula_of_section_3_3(size: int, over_size: bool) -> None:
    norm = norm_of(size, over_size=over_size)
    x = activations()
    torch.testing.assert_close(LocalResponseNorm(norm)(x), by_the_formula(x, norm))


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_of_lrn_is_its_finite_difference(size: int) -> None:
    layer = LocalResponseNorm(norm_of(size, k=1.0))
    x = activations(channels=6)[:1, :, :2, :2].requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))


def test_lrn_of_raw_pixels_in_single_precision_is_that_of_torch() -> None:
    # The paper's constants on activations of a few thousand, where the denominator is far from k.
    norm = Norm()
    x = activations(channels=96, dtype=torch.float32, scale=3000.0)
    torch.testing.assert_close(LocalResponseNorm(norm)(x), torchs(norm)(x), rtol=1e-5, atol=1e-4)


def test_lrn_with_fewer_channels_than_the_window_is_that_of_torch() -> None:
    norm = norm_of(9)
    x = activations(channels=4)
    torch.testing.assert_close(LocalResponseNorm(norm)(x), torchs(norm)(x))


def test_the_two_conventions_of_alpha_differ_by_the_factor_n() -> None:
    x = activations()
    formula, code = norm_of(5, over_size=False, alpha=0.1), norm_of(5, over_size=True, alpha=0.5)
    torch.testing.assert_close(LocalResponseNorm(formula)(x), LocalResponseNorm(code)(x))


def test_the_denominator_is_what_the_layer_divides_by() -> None:
    layer, x = LocalResponseNorm(norm_of(5)), activations()
    torch.testing.assert_close(layer(x) * layer.denominator(x), x)


def within_a_map(x: Tensor, norm: Norm) -> Tensor:
    """The same-map form, written out: the window is centred, and cut at the borders of the map."""
    a = norm.alpha / norm.size**2 if norm.alpha_over_size else norm.alpha
    y, reach = torch.empty_like(x), norm.size // 2
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
            total = (x[:, :, rows, columns] ** 2).sum(dim=(2, 3))
            y[:, :, row, column] = x[:, :, row, column] / (norm.k + a * total) ** norm.beta
    return y


@pytest.mark.parametrize("beta", [0.75, 0.5])
@pytest.mark.parametrize("over_size", [True, False])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_same_map_normalisation_is_the_sum_over_a_window(size: int, over_size: bool, beta: float) -> None:
    norm, x = norm_of(size, over_size=over_size, beta=beta), activations()
    layer = SameMapNorm(norm)
    torch.testing.assert_close(layer(x), within_a_map(x, norm))
    torch.testing.assert_close(layer(x) * layer.denominator(x), x)


def test_same_map_normalisation_does_not_see_other_maps() -> None:
    layer, x = SameMapNorm(norm_of(3)), activations()
    changed = x.clone()
    changed[:, 1:] += 1
    assert torch.equal(layer(x)[:, :1], layer(changed)[:, :1])


def test_the_gradient_of_same_map_normalisation_is_its_finite_difference() -> None:
    x = activations(channels=2)[:1].requires_grad_()
    assert torch.autograd.gradcheck(SameMapNorm(norm_of(3, k=1.0)), (x,))


def test_lrn_with_the_papers_constants_is_a_constant_on_unit_inputs() -> None:
    # The trap: 2 ** -0.75 = 0.5946 for every element, to 1e-4 or so.
    x = activations()
    torch.testing.assert_close(LocalResponseNorm(Norm())(x) / x, torch.full_like(x, 2**-0.75), rtol=2e-4, atol=0)


CPU = torch.device("cpu")
needs_a_compiler = pytest.mark.skipif(implementation(CPU) != "compiled", reason="there is no C compiler")


def normalised(layer: ResponseNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's output, and the gradient of a sum of it with weights that are not constant."""
    x = x.detach().requires_grad_()
    y = layer(x)
    weight = torch.linspace(-1, 2, y.numel(), dtype=x.dtype).view(y.shape)
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    return y.detach(), gradient


def maps(*shape: int) -> Tensor:
    """Float32 maps (B, C, H, W) in channels_last, which is what the kernel reads."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    return x.contiguous(memory_format=torch.channels_last)


@needs_a_compiler
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("over_size", [True, False])
@pytest.mark.parametrize("size", [*SIZES, 11])
@pytest.mark.parametrize("kind", NORMS)
def test_the_compiled_form_and_its_gradient_are_those_of_plain_torch_in_double_precision(
    kind: str, size: int, over_size: bool, rectified: bool
) -> None:
    layer = NORMS[kind](norm_of(size, over_size=over_size))
    x = maps(3, 13, 6, 5)  # 13 is no multiple of a vector's length
    x = x.relu() if rectified else x
    assert layer.compiled_for(x) and not layer.compiled_for(x.double())
    for got, expected in zip(normalised(layer, x), normalised(layer, x.double()), strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=2e-6, atol=1e-6)


@needs_a_compiler
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 16, 1, 1), (1, 5, 1, 7), (1, 5, 7, 1), (2, 1, 6, 6), (0, 4, 3, 3)])
@pytest.mark.parametrize("kind", NORMS)
def test_the_compiled_form_takes_maps_smaller_than_its_window(kind: str, shape: tuple[int, ...]) -> None:
    layer, x = NORMS[kind](norm_of(9)), maps(*shape)
    assert layer.compiled_for(x)
    for got, expected in zip(normalised(layer, x), normalised(layer, x.double()), strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=2e-6, atol=1e-6)


@needs_a_compiler
@pytest.mark.parametrize("size", [3, 4, 5, 7])
def test_the_compiled_form_is_torchs_own_layer(size: int) -> None:
    norm, x = norm_of(size), maps(4, 48, 8, 8)
    torch.testing.assert_close(LocalResponseNorm(norm)(x), torchs(norm)(x), rtol=2e-6, atol=1e-6)


@needs_a_compiler
@pytest.mark.parametrize("kind", NORMS)
def test_the_compiled_form_keeps_channels_last_whatever_the_gradients_layout(kind: str) -> None:
    layer, x = NORMS[kind](norm_of(5)), maps(2, 8, 4, 6).requires_grad_()
    y = layer(x)
    assert y.stride() == x.stride()
    gradient = torch.randn(2, 8, 1, 6, generator=torch.Generator().manual_seed(4)).expand_as(x)
    given = [gradient, gradient.contiguous(), gradient.contiguous(memory_format=torch.channels_last)]
    first, *others = (torch.autograd.grad(y, x, g, retain_graph=True)[0] for g in given)
    assert first.stride() == x.stride() and all(torch.equal(first, other) for other in others)


@needs_a_compiler
@pytest.mark.parametrize("kind", NORMS)
def test_the_compiled_form_gives_the_same_bits_on_one_thread_and_on_two(kind: str) -> None:
    layer, x, before = NORMS[kind](norm_of(5)), maps(5, 24, 9, 9), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            results.append(normalised(layer, x))
    finally:
        torch.set_num_threads(before)
    for again in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(again, results[0], strict=True))


@pytest.mark.parametrize("kind", NORMS)
def test_only_single_precision_in_channels_last_at_the_papers_beta_is_compiled(kind: str) -> None:
    x = maps(2, 8, 4, 4)
    assert not NORMS[kind](norm_of(5, beta=0.5)).compiled_for(x)
    assert not NORMS[kind](norm_of(5)).compiled_for(x.double())
    assert not NORMS[kind](norm_of(5)).compiled_for(x.contiguous())


@needs_a_compiler
def test_loading_the_compiled_form_leaves_denormals_alone() -> None:
    # -ffast-math would set flush-to-zero for every layer of the process.
    assert implementation(CPU) == "compiled"
    assert float(torch.tensor(1e-40) * torch.tensor(1.0)) > 0


@pytest.mark.parametrize("x", [maps(2, 8, 4, 4), maps(2, 8, 4, 4).double()])
def test_a_second_derivative_is_refused_rather_than_wrong(x: Tensor) -> None:
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(LocalResponseNorm(norm_of(5))(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("size", SIZES)
def test_the_way_back_of_a_window_is_its_transpose(size: int, kind: str) -> None:
    layer = NORMS[kind](norm_of(size))
    u, v = (torch.randn(2, 5, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    there, back = (layer.spread(u, 2.0, 0.0) * v).sum(), (u * layer.spread(v, 2.0, 0.0, back=True)).sum()
    torch.testing.assert_close(there, back)


PLAIN = """
import sys, torch
from ablations.models.response_norm import LocalResponseNorm, implementation
from ablations.models.spec import Norm
x = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(3)).contiguous(memory_format=torch.channels_last)
layer = LocalResponseNorm(Norm(alpha=0.3))
layer(x)
torch.save(layer(x), sys.argv[1])
print(implementation(x.device))
"""


def test_without_a_compiler_plain_torch_says_so_once_and_gives_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "CC": ""}
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "y")], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "plain torch"
    assert ran.stderr.count("Response normalisation runs in plain torch") == 1
    assert "there is no C compiler (gcc, cc, clang)" in ran.stderr
    x = maps(2, 8, 4, 4)
    torch.testing.assert_close(torch.load(tmp_path / "y"), LocalResponseNorm(Norm(alpha=0.3))(x), rtol=2e-6, atol=1e-6)


@needs_a_compiler
def test_it_is_compiled_once_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path))
    compiled(SOURCE)
    (made,) = (tmp_path / "kernels").iterdir()
    first = made.stat().st_mtime_ns
    compiled(SOURCE)
    assert [made] == list((tmp_path / "kernels").iterdir()) and made.stat().st_mtime_ns == first


@needs_a_compiler
def test_changed_source_is_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path))
    source = tmp_path / "one.c"
    answers = []
    for number in (1, 2):
        source.write_text(f"int answer(void) {{ return {number}; }}")
        answers.append(compiled(source).answer())
    assert answers == [1, 2]


@needs_a_compiler
def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path / "file"))
    assert compiled(SOURCE).response_norm_forward


@needs_a_compiler
def test_source_that_does_not_compile_is_refused_with_the_compilers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(tmp_path))
    (tmp_path / "bad.c").write_text("int answer(void) { return x; }")
    with pytest.raises(NotCompiledError, match=r"bad\.c"):
        compiled(tmp_path / "bad.c")
    assert not list((tmp_path / "kernels").iterdir())


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATIONS_COMPILE", "0")
    with pytest.raises(NotCompiledError, match="ABLATIONS_COMPILE is 0"):
        compiled(SOURCE)
