"""Why a trial has no outcome: in a sentence that names the file and the function, from sources that were kept."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import explain
from ablations.analysis import why
from ablations.analysis.why import changed, which
from ablations.core.load import load
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.records import sources, store
from ablations.subjects.own.unfinished import path_of
from tests import making
from tests.own.files import FILE, TRIAL, StudyFile

MODEL = "class Block:\n    def forward(self, x):\n        return 2 * x\n\n\ndef other():\n    return 1\n"
WITH_MODEL = TRIAL.replace("draws =", "import a_model_of_mine\n    draws =").replace("score = 50", "score = 50 + 0")


def explained(file: StudyFile, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    load.cache_clear()
    capsys.readouterr()
    assert explain.main([str(file.study), *words]) == 0
    return capsys.readouterr().out


def test_sources_are_kept_once_and_alike(tmp_path: Path) -> None:
    files = {"study.py": b"x = 1\n", "up/model.py": b"y = 2\n", "data.bin": b"0" * (sources.LARGEST + 1)}
    first = sources.write_sources(tmp_path / "one", "abc", files).read_bytes()
    second = sources.write_sources(tmp_path / "two", "abc", dict(reversed(files.items()))).read_bytes()
    assert first == second and len(first) < 1000
    assert gzip.decompress(first).count(b"ustar") == 3
    found = sources.read_sources(tmp_path / "one", "abc")
    assert found == sources.shortened(files) and len(found["data.bin.sha256"]) == 64
    assert sources.sources_path(tmp_path, "version 3/../x").parent == tmp_path / "code"
    (tmp_path / "one" / "code" / "abc.tar.gz").write_bytes(first[:-40])
    assert sources.read_sources(tmp_path / "one", "abc") is None
    assert sources.read_sources(tmp_path / "one", "none") is None


def test_trials_that_were_never_run_failed_or_ran_with_other_code_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, model = StudyFile(tmp_path, "explained"), tmp_path / "a_model_of_mine.py"
    file.write(WITH_MODEL)
    model.write_text(MODEL)
    assert file.run("--components", "slope") == 0
    assert explained(file, capsys) == "mine: 8 trials: 8 with an outcome, 0 without.\n"
    (kept,) = (file.study / "code").iterdir()
    assert kept.name == f"{load(str(file.path)).digest()}.tar.gz"
    assert set(sources.read_sources(file.study, kept.name.split(".")[0]) or {}) == {
        "explained.py",
        "a_model_of_mine.py",
    }

    model.write_text("# a comment\n" + MODEL)  # is no change
    assert "0 without" in explained(file, capsys)
    model.write_text(MODEL.replace("2 * x", "3 * x"))
    said = explained(file, capsys)
    assert "8 trials: 0 with an outcome, 8 without" in said
    assert "8  a_model_of_mine.py changed since (function Block.forward)" in said
    assert "(seeds 0 to 1)" in said
    key = file.read()["reference", 0].trial.key
    diff = explained(file, capsys, "--from", key)
    assert f"--- {key}/a_model_of_mine.py" in diff and "-        return 2 * x\n+        return 3 * x" in diff
    assert "explained.py" not in diff

    model.write_text(MODEL)
    assert "are the same as today" in explained(file, capsys, "--from", key)
    file_trials = {place: one.trial for place, one in file.read().items()}
    places = {place: store.trial_path(file.study, one.key) for place, one in file_trials.items()}
    places["reference", 1].unlink()
    places["slope=1.0", 0].write_text("{")
    assert re.search(
        r"\n +1  begun and not ended: its process .* runs now\n +ref.* \(seed 1\)\n", explained(file, capsys)
    )
    (file.study / "logs" / f"{places['reference', 1].stem}.txt").unlink()
    assert re.search(r"\n +1  never run\n +reference \(seed 1\)\n", explained(file, capsys))
    unfinished = path_of(file_trials["reference", 1], file.study)
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.touch()
    assert re.search(
        r"\n +1  begun and not ended: the next .* in unfinished/\n +ref.* \(seed 1\)\n", explained(file, capsys)
    )
    assert re.search(r"\n +1  its record cannot be read\n +slope=1.0 \(seed 0\)\n", explained(file, capsys))


def test_failed_trials_are_told_with_their_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = StudyFile(tmp_path, "failing")
    file.write("def train(config):\n    print('so far')\n    raise ValueError('no such file')\n")
    assert file.run("--components", "slope", seeds=1) == 1
    said = explained(file, capsys)
    assert "3  failed (error): ValueError: no such file" in said
    assert "1  never run" in said  # three that fail alike stop the study


def test_another_configuration_and_a_change_that_is_gone_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "configured")
    file.write()
    assert file.run("--components", "slope", seeds=1) == 0
    plan = (file.study / "study.json").read_text()
    (file.study / "study.json").write_text(plan.replace('"rounds": 3', '"rounds": 5'))
    assert "4  the configuration is another (rounds 3, now 5)" in explained(file, capsys)
    (file.study / "study.json").write_text(plan)
    file.write(file=FILE.replace('"slope": 1.0', '"slope": 0.5'))
    said = explained(file, capsys)
    assert "4 trials: 3 with an outcome, 1 without" in said  # what a file declares is no code
    assert "the study file no longer has it" in said and "slope=1.0" in said
    file.write(file=FILE.replace("subject = Subject", "LIMIT = 1\nsubject = Subject"))
    assert "configured.py changed since (statements at its top)" in explained(file, capsys)


def test_a_wrong_study_or_key_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["none", "--results", str(tmp_path)]) == 2
    assert "unknown study 'none'" in capsys.readouterr().err
    file = StudyFile(tmp_path, "keyed")
    file.write()
    assert file.run("--grid", "reference", seeds=1) == 0
    capsys.readouterr()
    assert explain.main([str(file.study), "--from", "abc"]) == 2
    said = capsys.readouterr().err
    assert "no record has the key 'abc'" in said and said.count("\n") == 1


def test_changes_are_named_by_the_innermost_definition() -> None:
    inner = b"    def f(self):\n        def g():\n            return 1\n        return g\n"
    before = b'class A:\n    """x"""\n    n = 1\n' + inner
    assert changed({"m.py": before}, {"m.py": before.replace(b"return 1", b"return 2")}) == (
        "m.py changed since (function A.f.g)"
    )
    assert changed({"m.py": before}, {"m.py": before.replace(b"n = 1", b"n = 2")}) == "m.py changed since (class A)"
    assert changed({"m.py": before}, {"m.py": before.replace(b'"""x"""', b'"""y"""')}) == ""
    several = b"".join(b"def f%d(): return 1\n" % number for number in range(5))
    after = several.replace(b"return 1", b"return 2")
    assert changed({"m.py": several}, {"m.py": after}) == "m.py changed since (functions f0, f1, f2 and 2 more)"
    assert changed({"a.py": b"", "b.yaml": b"1"}, {"b.yaml": b"2", "c.py": b""}) == (
        "a.py is gone; b.yaml changed since; c.py is new"
    )


def test_two_hundred_trials_take_a_few_lines() -> None:
    variants = [Variant(departures=(("c", str(number)),)) for number in range(20)]
    trials = [
        Trial(variant=one, seed=seed, data="", fingerprint="", config={}) for seed in range(10) for one in variants
    ]
    assert which(trials) == "c=0, c=1, c=2 and 17 more (seeds 0 to 9)"
    assert which([trials[0], trials[40], trials[60], trials[21]]) == "c=0 (seeds 0 and 2 to 3); c=1 (seed 1)"


def test_help_loads_neither_torch_nor_pandas() -> None:
    code = "import sys; from ablations import explain\ntry: explain.main(['--help'])\nfinally: print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ablations.explain" in ran.stdout
    assert not {"torch", "pandas", "scipy", "ray", "matplotlib"} & {*ran.stdout.split()}


def test_a_changed_budget_is_told_as_what_it_was_and_what_it_is_now() -> None:
    _, trials = making.study("reference")
    assert why._settings(trials[0], making.with_budget(trials[0], epochs=30)) == ["epochs 12, now 30"]
