"""Words of a command line become values; nothing that was typed is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import tyro

from ablations.cli.arguments import parsed


def given(
    studies: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    *,
    set: tuple[str, ...] = (),
    seeds: int = 1,
    place: Path = Path("here"),
    quiet: bool = False,
) -> tuple[object, ...]:
    """All that was given."""
    return studies, set, seeds, place, quiet


def test_of_two_values_of_one_option_the_last_counts_and_a_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seeds=3", "one", "--place", "there", "--seeds", "5"]
    assert parsed(given, words, prog="python -m ablations.given") == (("one",), (), 5, Path("there"), False)
    assert capsys.readouterr().err == "note: --seeds is given twice; '5' counts, and '3' does not\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--set a=1 --set b=2", ((), ("a=1", "b=2"), 1, Path("here"), False)),
        ("--set a=1 b=2 --seeds 3 --set c=3", ((), ("a=1", "b=2", "c=3"), 3, Path("here"), False)),
        ("--set=a=1 --seeds=3 --set=b=2", ((), ("a=1", "b=2"), 3, Path("here"), False)),
        ("one --seeds 3 two --seeds 3", (("one", "two"), (), 3, Path("here"), False)),
        ("one --quiet two --place there --quiet", (("one", "two"), (), 1, Path("there"), True)),
    ],
)
def test_an_option_that_takes_several_values_may_be_given_several_times(
    words: str, expected: tuple[object, ...]
) -> None:
    how = {"config": (tyro.conf.FlagCreatePairsOff,)}
    assert parsed(given, words.split(), prog="python -m ablations.given", **how) == expected
