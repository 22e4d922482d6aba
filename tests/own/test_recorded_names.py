"""Numbers that this package records of trials: no metric is called so, and no number of a trial is lost to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations.analysis.tables import table
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.subject import Measured, Place
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from tests.own import made_up

TEXT = """
subject = Subject(reference={"slope": 2.0}, components={"slope": 1.0}, metrics={"score": "higher", MORE})
"""
TOML = """
command = "python train.py {seed} {changes}"
[reference]
slope = 2.0
[components]
slope = 1.0
[metrics]
score = "higher"
"""
OURS = ("cpu_seconds", "memory_mib", "evaluated_examples", "seconds", "epoch", "log_steps_to_threshold")
GIVEN = '{"score": 1.0, "memory_mib": 4096.0 + row, "cpu_seconds": 9000.0, "seconds": 7000.0}'


def study(folder: Path, form: str, *, metric: str = "loss", trial: str = "") -> str:
    """Writes a study file in Python, or one in TOML with its script, and returns its path."""
    load.cache_clear()
    path = folder / f"made_up_recorded.{form}"
    if form == "toml":
        path.write_text(f'{TOML}{metric} = "lower"\n')
        (folder / "train.py").write_text(f"import json\nfor row in (0, 1):\n    print(json.dumps({trial or {}}))\n")
    else:
        head = made_up.HEAD + TEXT.replace("MORE", f'"{metric}": "lower"')
        rows = f"for row in (0, 1):\n        yield {trial}" if trial else "raise AssertionError"
        path.write_text(f"{head}\n\n@subject.trial\ndef train(config, seed):\n    {rows}\n")
    return str(path)


def came(path: str) -> Measured:
    """What the first trial of a study file comes to."""
    subject, place = load(path), Place(folder=Path(path).parent)
    config = subject.setting(subject.options(), place, None, beside=1).config
    trial = Trial(variant=Variant(), seed=1, data="", fingerprint="", config=config, subject=path)
    (found,) = [event for event in subject.run((trial,), place, lambda trial, row: None) if event]
    assert isinstance(found, Measured), found
    return found


@pytest.mark.parametrize("form", ["py", "toml"])
@pytest.mark.parametrize("name", OURS)
def test_a_metric_called_as_a_number_that_is_recorded_is_refused(tmp_path: Path, form: str, name: str) -> None:
    with pytest.raises(InputError, match=rf"metric '{name}' has the name under which .* such as 'measured_{name}'\."):
        load(study(tmp_path, form, metric=name))


@pytest.mark.parametrize("form", ["py", "toml"])
@pytest.mark.parametrize("name", ["key", "status", "placebo", "sabotage", "mild_sabotage", "slope"])
def test_a_metric_called_as_a_column_of_a_table_is_refused(tmp_path: Path, form: str, name: str) -> None:
    with pytest.raises(InputError, match=f"metric '{name}' has the name of something else in a table"):
        load(study(tmp_path, form, metric=name))


@pytest.mark.parametrize("form", ["py", "toml"])
def test_a_number_that_a_trial_gives_under_such_a_name_is_kept_beside_ours(tmp_path: Path, form: str) -> None:
    found = came(study(tmp_path, form, trial=GIVEN.replace("}", ', "loss": 2.0}')))
    assert (found.metrics["memory_mib as given"], found.metrics["cpu_seconds as given"]) == (4097.0, 9000.0)
    assert 1 < found.metrics["memory_mib"] < 4000 and 0 < found.metrics["cpu_seconds"] < 1000
    assert [row["memory_mib as given"] for row in found.curve] == [4096.0, 4097.0]
    assert not any("memory_mib" in row for row in found.curve)
    assert found.metrics["seconds"] == 7000.0  # the record has the time of the trial elsewhere


def test_a_number_of_examples_is_kept_beside_that_of_the_examples(tmp_path: Path) -> None:
    given = '{"score": 0.5, "loss": 1.0, "evaluated_examples": 50 + row, "examples": {"score": [0, 1, 1, 0]}}'
    found = came(study(tmp_path, "py", trial=given))
    assert (found.metrics["evaluated_examples"], found.metrics["evaluated_examples as given"]) == (4, 51)
    alone = came(study(tmp_path, "py", trial='{"score": 0.5, "loss": 1.0, "evaluated_examples": 50}'))
    assert alone.metrics["evaluated_examples"] == 50


def test_a_script_gives_a_metric_of_another_name_from_such_a_column(tmp_path: Path) -> None:
    path = Path(study(tmp_path, "toml", trial=GIVEN.replace("}", ', "loss": 2.0}')))
    path.write_text(f'{path.read_text()}[metrics.measured_memory_mib]\nbetter = "lower"\nfrom = "memory_mib"\n')
    found = came(str(path))
    assert found.metrics["measured_memory_mib"] == 4097.0 and found.metrics["memory_mib"] < 4000
    assert "memory_mib as given" not in found.metrics


def test_seconds_of_a_trial_of_its_own_do_not_replace_its_time_in_the_table(tmp_path: Path) -> None:
    text = TEXT.replace("MORE", '"loss": "lower"')
    judged = made_up.findings(
        tmp_path / "made_up_seconds.py", text, lambda trial: {"score": 1.0, "loss": 1.0, "seconds": 7000.0}, seeds=2
    )
    assert set(table(judged.study, judged.results)["seconds"]) == {judged.results[0].seconds} != {7000.0}
