"""ablations.subjects.alexnet.registry: components are found by being a file, and combined by what they rewrite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.core.load import FIRST
from ablations.core.variant import Departure, Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.planning.factors import Forms
from ablations.subjects.alexnet import registry
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import component, components, derive, register
from tests.making import setting

ROOT = Path(__file__).parents[2]
CIFAR = PRESETS["cifar"].spec


def python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter whose ABLATIONS_COMPONENTS names `folders`."""
    environment = {**os.environ, "ABLATIONS_COMPONENTS": os.pathsep.join(map(str, folders))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def example() -> str:
    """The complete component that CONTRIBUTING shows."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)
    (block,) = [block for block in blocks if "register(" in block]
    return block


def test_every_file_of_the_components_folder_is_one_component_of_its_name() -> None:
    files = {
        path.stem
        for path in (ROOT / "ablations" / "subjects" / "alexnet" / "components").glob("*.py")
        if not path.stem.startswith("_")
    }
    assert set(components()) == files


def test_the_example_of_contributing_is_found_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mean_image.py").write_text(example())
    code = """
from ablations.subjects.alexnet.registry import components, derive
from ablations.core.load import FIRST
from ablations.core.variant import Departure, Variant
from ablations.models.presets import PRESETS
assert "lrn" in components()
for level, before in (("colour", "paper"), ("image", "cifar")):
    spec = PRESETS[before].spec
    assert derive(spec, Variant(departures=(("mean_image", level),))) != spec
print(components()["mean_image"].source)
"""
    ran = python(code, tmp_path)
    assert ran.stderr == ""
    assert ran.stdout.strip() == "Krizhevsky et al. 2012, section 2"


def test_two_folders_may_hold_files_of_one_name(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        text = example().replace('name="mean_image"', f'name="{folder}"')
        (tmp_path / folder / "mine.py").write_text(text)
    ran = python(
        "from ablations.subjects.alexnet.registry import components; print(*components())",
        tmp_path / "one",
        tmp_path / "two",
    )
    assert {"one", "two", "lrn"} <= set(ran.stdout.split()), ran.stderr


CHECK = "from ablations.subjects.alexnet.registry import check_components; check_components()"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (example().replace('name="mean_image"', 'name="lrn"'), "ValueError: component 'lrn' is registered twice"),
        ("x = 1\nraise RuntimeError('no\\nluck')", "RuntimeError: no luck, in line 2."),
        ("x = 1\ndef :", "SyntaxError: invalid syntax, in line 2."),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found', in line 1."),
        ("import sys\nsys.exit('bye')", "SystemExit: bye, in line 2."),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded, in line 1."),
        ("x = '\\0'\n\0", "SyntaxError: source code string cannot contain null bytes"),
        (b"x = '\xff'", "SyntaxError: "),
        (
            "from ablations.subjects.alexnet.registry import register\nregister('lrn')",
            "register takes a Component, not 'lrn', in l",
        ),
        (example().replace('name="mean_image"', "name=3"), "a component is called 3; a name is of"),
        (example().replace('name="mean_image"', 'name="a b=c"'), "a component is called 'a b=c'; a name is of"),
        (re.sub(r"source=.*", "source=None,", example()), "the source of component 'mean_image' is None, of another"),
        (
            re.sub(r"levels=.*", 'levels={"image": 5},', example()),
            "the levels of component 'mean_image' is {'image",
        ),
        (re.sub(r"levels=.*", "levels={},", example()), "component 'mean_image' has no levels"),
        (re.sub(r"reference=.*", "reference='', control='no',", example()), "the control of component 'mean_image' is"),
    ],
)
def test_a_file_of_ones_own_that_cannot_be_used_is_named_in_a_sentence_and_left_out(
    text: str | bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ran = python(CHECK, tmp_path)
    last = ran.stderr.splitlines()[-1]
    assert f"InputError: the component file {path} cannot be used: " in last and said in last
    left = python("from ablations.subjects.alexnet.registry import components; print(*components())", tmp_path)
    assert left.stdout.split() == list(components()), left.stderr


def test_the_levels_of_another_component_of_a_broken_file_are_left_out_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{example()}\nraise ValueError")
    ran = python("from ablations.subjects.alexnet.registry import components; print(*components())", tmp_path)
    assert ran.stdout.split() == list(components())


def test_a_second_component_of_one_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'lrn' is registered twice"):
        register(component("lrn"))


def test_a_pipe_and_a_folder_in_the_place_of_a_file_are_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    ran = python("from ablations.subjects.alexnet.registry import broken; print(*broken(), sep='\\n')", tmp_path)
    assert ran.stdout.splitlines() == [
        f"the component file {tmp_path / name}.py cannot be used: OSError: it is no file."
        for name in ("folder", "pipe")
    ]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = python(CHECK, tmp_path / "nowhere")
    said = (
        f"InputError: '{tmp_path / 'nowhere'}', which ABLATIONS_COMPONENTS names, cannot be used: it is not a folder."
    )
    assert said in ran.stderr


FAILING = {  # rewrite -> what is said of it
    "lambda spec: 1 / 0": "ZeroDivisionError: division by zero, in line ",
    "lambda spec: None": "TypeError: it returns None, which is no Spec",
    "lambda spec: exit(3)": "SystemExit: 3",
    "lambda spec: replace(spec, lurning_rate=1)": "unexpected keyword argument 'lurning_rate'",
    "lambda spec: replace(spec, learning_rate='fast')": "TypeError: learning_rate is 'fast', not float",
}
ALL_LEVELS = """
from ablations.planning.factors import Forms
from ablations.subjects.alexnet.registry import component
from tests.making import setting
forms = Forms("alexnet", setting())
for level in component("mean_image").levels:
    try:
        print("changes", forms.changes(("mean_image", level)))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""


def test_a_rewrite_of_ones_own_that_fails_is_named_with_its_file(tmp_path: Path) -> None:
    levels = ", ".join(f'"level_{number}": {rewrite}' for number, rewrite in enumerate(FAILING))
    fine = '"fine": lambda spec: replace(spec, learning_rate=7.0)'
    (tmp_path / "mine.py").write_text(re.sub(r"levels=.*", f"levels={{{levels}, {fine}}},", example()))
    ran = python(ALL_LEVELS, tmp_path)
    *failed, last = ran.stdout.splitlines()
    assert last == "changes True", ran.stderr  # the others keep no level from being used
    for number, (line, said) in enumerate(zip(failed, FAILING.values(), strict=True)):
        where = f"InputError: mean_image=level_{number} of {tmp_path / 'mine.py'} cannot be used: "
        assert line.startswith(where) and said in line


def test_a_rewrite_that_fails_is_named_before_any_image_is_read(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text(re.sub(r"levels=.*", 'levels={"image": lambda spec: 1 / 0},', example()))
    ran = python(
        "from ablations import run; "
        f"run.main(['--components', 'mean_image', '--dry-run', '--dataset', 'folder:{tmp_path}/no_images_here'])",
        tmp_path / "own",
    )
    assert f"error: mean_image=image of {tmp_path}/own/mine.py cannot be used: ZeroDivisionError" in ran.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ablations.run", "--dry-run"], 2),
        (["ablations.run", "--help"], 0),
        (["ablations.show", "components"], 2),
        (["ablations.show", "grids"], 0),
        (["ablations.report", "--help"], 0),
        (["ablations.report", "cifar10-gist", "--results", "results/reference", "--format", "csv"], 0),
    ],
)
def test_a_broken_component_stops_what_trains_in_one_sentence_and_neither_help_nor_reports(
    words: list[str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("raise RuntimeError('boom')")
    environment = {**os.environ, "ABLATIONS_COMPONENTS": str(tmp_path / "own")}
    places = ["--reports", str(tmp_path)] if "--format" in words else []
    ran = subprocess.run(
        [sys.executable, "-m", *words, *places], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    sentence = f"the component file {tmp_path / 'own' / 'mine.py'} cannot be used: RuntimeError: boom, in line 1."
    named = {"error: " + sentence} if code == 2 else {sentence} if places else set()
    assert set(ran.stderr.splitlines()) == named


def test_a_component_without_levels_is_refused() -> None:
    empty = replace(component("lrn"), name="empty", levels={})
    with pytest.raises(ValueError, match="'empty' has no levels"):
        register(empty)
    assert "empty" not in components()


def test_an_unknown_component_or_level_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown component 'droput'; did you mean 'dropout'\?.*activation"):
        component("droput")
    with pytest.raises(ValueError, match=r"unknown level of lrn 'batchnorm'; did you mean 'batch_norm'\?"):
        derive(CIFAR, Variant(departures=(("lrn", "batchnorm"),)))


def test_components_come_in_alphabetical_order() -> None:
    assert list(components()) == sorted(components())


def test_the_reference_is_its_own_rewrite() -> None:
    assert derive(CIFAR, Variant()) == CIFAR


def conflict(one: Departure, two: Departure) -> str:
    return Forms(FIRST, setting("cifar")).conflict(one, two)


def test_two_levels_of_one_component_are_a_conflict() -> None:
    assert conflict(("lrn", "off"), ("lrn", "batch_norm")) == "two levels of lrn"


def test_rewrites_of_one_field_conflict_and_the_reason_names_the_field() -> None:
    reason = conflict(("width", "half"), ("grouping", "full"))
    assert "-width" not in reason.split()
    assert reason.startswith("grouping=full changes nothing beside width=half: both rewrite blocks.1.groups, ")


def test_rewrites_of_different_fields_do_not_conflict_in_either_order() -> None:
    assert conflict(("lrn", "off"), ("dropout", "off")) == ""
    assert conflict(("dropout", "off"), ("lrn", "off")) == ""


def made(name: str, rewrite: Callable[[Spec], Spec], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A departure of a component that is registered for one test."""
    activity = Activity(measure=lambda probe: 1.0, unit="")
    known = Component(name=name, reference="", levels={"off": rewrite}, summary="", source="", activity=activity)
    monkeypatch.setitem(registry._COMPONENTS, name, known)
    return name, "off"


def test_a_departure_that_does_all_that_another_does_conflicts_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = made("bare", lambda spec: replace(spec, flip=False, random_crop=False, momentum=0.0), monkeypatch)
    assert conflict(bare, ("crop_flip", "off")) == (
        "-crop_flip changes nothing beside -bare: both rewrite flip and random_crop"
    )


def test_a_departure_that_reads_what_another_rewrites_conflicts_with_it() -> None:
    assert conflict(("batch_norm", "without_lrn"), ("lrn", "original_code")) == (
        "batch_norm=without_lrn and lrn=original_code depend on their order: one reads what the other rewrites"
    )


def test_departures_whose_order_matters_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = made("twice", lambda spec: replace(spec, learning_rate=2 * spec.learning_rate), monkeypatch)
    more = made("more", lambda spec: replace(spec, learning_rate=1 + spec.learning_rate), monkeypatch)
    assert conflict(twice, more) == "-twice and -more both rewrite learning_rate"
