"""A study of several data sets through the real commands: run, gone on with, explained, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations import check, explain, run
from ablations.core.load import load
from ablations.core.result import Result
from ablations.core.subject import Place
from ablations.records import store
from tests.own import files
from tests.script import files as scripts

FILE = files.FILE.replace("chance=0.0", 'chance={"ants": 0.0, "bees": 1.0}').replace(
    'budget="rounds",', 'budget="rounds",\n    data={"ants": "ants.txt", "bees": "more/bees"},'
)
TRIAL = """
def train(config, streams, data):
    from pathlib import Path

    path = Path(data.path)
    level = float((path if path.is_file() else path / "level.txt").read_text())
    draws = streams.numpy("noise")
    for _ in range(config["rounds"]):
        score = level + 5 * config["slope"] + config["noise"] * float(draws.normal())
        yield {"score": score, "loss": 100 - score}
"""


class Blocks(files.StudyFile):
    """A study file with two data sets beside it."""

    def write(self, trial: str = TRIAL, file: str = FILE) -> None:
        super().write(trial, file)
        (self.folder / "more" / "bees").mkdir(parents=True, exist_ok=True)
        (self.folder / "ants.txt").write_text("40")
        (self.folder / "more" / "bees" / "level.txt").write_text("60")

    def run(self, *words: str, seeds: int = 2) -> int:
        return super().run(*words, seeds=seeds)

    def each(self) -> dict[tuple[str, str, int], Result]:
        found, problems = store.read_all(self.study)
        assert not problems
        return {(one.trial.variant.label, one.trial.data, one.trial.seed): one for one in found.values()}


@pytest.fixture
def study(tmp_path: Path) -> Blocks:
    made = Blocks(tmp_path / "mine", "study_of_blocks")
    made.write()
    return made


def test_a_study_of_two_data_sets_runs_on_each_and_goes_on_where_it_was(
    study: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.run("--dry-run") == 0
    said = capsys.readouterr().out
    assert "5 variants x 2 seeds x 2 data sets = 20 trials" in said and "2 data sets (ants, bees)" in said
    assert study.run() == 0
    said = capsys.readouterr().out
    assert "no noise on bees, seed 1" in said
    each = study.each()
    assert len(each) == 20
    for (label, data, seed), one in each.items():
        level = {"ants": 40.0, "bees": 60.0}[data]
        wide = 10 + 25 * (label == "sabotage=on") + 5 * (label == "slope=1.0")
        assert abs(one.metrics["score"] - level) < wide + 8, (label, data, seed)
    pairs = [
        each["reference", data, 0].metrics["score"] - each["slope=1.0", data, 0].metrics["score"]
        for data in ("ants", "bees")
    ]
    assert pairs == pytest.approx([5.0, 5.0])
    assert all(("repeat" in each["reference", data, 0].extras) for data in ("ants", "bees"))
    gone = each["slope=1.0", "bees", 1].trial.key
    (study.study / "trials" / f"{gone}.json").unlink()
    assert explain.main([str(study.study)]) == 0
    assert "slope=1.0 on bees (seed 1)" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in (study.study / "trials").iterdir()}
    assert study.run() == 0
    after = {path.name: path.read_bytes() for path in (study.study / "trials").iterdir()}
    assert after.keys() - before.keys() == {f"{gone}.json"}
    assert {name: after[name] for name in before} == before
    again = study.each()["slope=1.0", "bees", 1]
    assert again.metrics["score"] == each["slope=1.0", "bees", 1].metrics["score"]
    head, *rows = (study.study / "table.csv").read_text().splitlines()
    assert head.split(",")[2:5] == ["seed", "data", "status"] and len(rows) == 20


def test_data_that_changed_are_other_data_and_a_folder_that_moved_is_not(study: Blocks) -> None:
    def prints() -> dict[str, str]:
        load.cache_clear()
        subject = load(str(study.path))
        setting = subject.setting(subject.options(), Place(folder=study.folder), None, beside=1)
        return {one.name: one.fingerprint for one in setting.blocks}

    before = prints()
    assert len(set(before.values())) == 2
    (study.folder / "more" / "bees" / "level.txt").write_text("61")
    changed = prints()
    assert changed["ants"] == before["ants"] and changed["bees"] != before["bees"]
    (study.folder / "more" / "bees" / "level.txt").write_text("60")
    (study.folder / "more" / "bees").rename(study.folder / "elsewhere")
    study.path.write_text(study.path.read_text().replace("more/bees", "elsewhere"))
    assert prints() == before
    for name in (".DS_Store", "._level.txt", "Thumbs.db", "desktop.ini", ".nfs0001", ".ablations.lock"):
        (study.folder / "elsewhere" / name).write_text("left by a system")
    assert prints() == before
    (study.folder / "elsewhere" / ".level").write_text("hidden, and part of the data")
    assert prints() != before


ANTS_ALONE = FILE.replace(', "bees": "more/bees"', "").replace(', "bees": 1.0', "")


def test_a_data_set_that_is_added_costs_its_own_trials_and_none_is_changed_or_lost_unnoticed(
    study: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    def records() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (study.study / "trials").iterdir()}

    study.write(file=ANTS_ALONE)
    assert study.run() == 0
    of_ants = records()
    assert len(of_ants) == 10
    study.write()
    assert study.run() == 0
    of_both = records()
    assert len(of_both) == 20 and {name: of_both[name] for name in of_ants} == of_ants
    capsys.readouterr()
    study.write(file=ANTS_ALONE)
    assert study.run() == 2
    assert "was run on 'bees', and this run is on 'ants': choose another --name" in capsys.readouterr().err
    study.write()
    (study.folder / "more" / "bees" / "level.txt").write_text("61")
    load.cache_clear()
    assert study.run() == 2
    assert "on other data: the content of 'bees' has changed since its first run" in capsys.readouterr().err
    assert records() == of_both


WRONG = {
    "text": ('data="ants"', "it is a list of the names of data sets, or a mapping of names to paths"),
    "a number": ("data=[1]", "data names 1; a name is of letters"),
    "hostile": ('data=["a\\x1b[2Jb"]', "a name is of letters"),
    "none": ("data=[]", "data names 0 data sets"),
    "twice": ('data=["ants", "ants"]', "data names 'ants' twice"),
    "a path of no text": ('data={"ants": 3}', "the path of the data set 'ants' is 3"),
    "not there": ('data={"ants": "gone.txt", "bees": None}', "the data set 'ants' is not there"),
    "the same": ('data={"ants": "ants.txt", "bees": "ants.txt"}', "'ants' and 'bees' hold the same"),
    "another chance": ('data=["ants", "bee"]', "chance level of 'bees'; did you mean 'bee'? data names ants, bee."),
    "no chance": ('data=["ants", "bees", "elk"]', "no chance level for the data set 'elk'"),
    "no number": ('data=["ants", "bees"]  # chance', "the chance level 'x'; it is a number"),
    "not named": ("", "the trial function asks for data, and the study names none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_data_get_one_sentence_and_nothing_is_made(
    what: str, study: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    line, sentence = WRONG[what]
    file = FILE.replace('data={"ants": "ants.txt", "bees": "more/bees"},', f"{line},\n" if line else "")
    if not line:
        file = file.replace('{"ants": 0.0, "bees": 1.0}', "0.0")
    elif "# chance" in line:
        file = file.replace(f"{line},", "data=['ants', 'bees'],").replace('"bees": 1.0', '"bees": "x"')
    study.write(file=file)
    assert study.run() == 2
    said = capsys.readouterr().err
    assert sentence in said and len(said.strip().splitlines()) == 1 and "Traceback" not in said
    assert not list(study.study.glob("trials/*"))


def test_several_data_sets_that_no_trial_asks_for_and_a_time_to_fit_into_are_refused(
    study: Blocks, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.run("--budget", "1h") == 2
    assert "trials take longer on one data set than on another" in capsys.readouterr().err
    study.write(TRIAL.replace("streams, data", "streams").replace("data.path", "'x'"))
    assert study.run() == 2
    assert "the trial function does not ask for data: it would be trained on the same" in capsys.readouterr().err


def test_check_runs_the_reference_on_each_data_set(study: Blocks, capsys: pytest.CaptureFixture[str]) -> None:
    load.cache_clear()
    assert check.main([str(study.path)]) == 0
    said = capsys.readouterr().out
    assert "reference, ants" in said and "on bees" in said
    (study.folder / "more" / "bees" / "level.txt").write_text("no number")
    load.cache_clear()
    assert check.main([str(study.path)]) == 1
    assert "on bees                LOOK" in capsys.readouterr().out


COARSE = """
def train(config, streams, data):
    drawn = config["noise"] * float(streams.numpy("noise").normal())
    score = 100 * config["slope"] + (round(drawn, {digits}) if data.name == "bees" else 0)
    return {{"score": score, "loss": 100 - score}}
"""


def test_check_calls_equal_only_what_is_so_on_every_data_set(study: Blocks, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(COARSE.format(digits=9))  # on ants no number depends on the seed or on the noise
    load.cache_clear()
    assert check.main([str(study.path)]) == 0
    said = {line[:22].strip(): line[23:] for line in capsys.readouterr().out.splitlines()}
    assert said["another seed"] == said["placebo"] == "differs on bees (equal on ants)"
    assert said["-noise"] == "differs on bees (equal on ants), in score, loss"
    assert said["slope=1.0"] == "differs, in score, loss" and said["in all"] == "sound"
    study.write(COARSE.format(digits=-3))  # nor on bees
    load.cache_clear()
    assert check.main([str(study.path)]) == 1
    said = {line[:22].strip(): line[23:] for line in capsys.readouterr().out.splitlines()}
    assert said["-noise"].startswith("LOOK  EQUAL to the reference on 2 data sets")
    assert said["placebo"].startswith("LOOK  equal: the random draws do not depend on the seed. Rounding, or rounds=1,")


def test_a_script_is_given_its_data_set_in_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = scripts.SCRIPT.replace(
        'asked.add_argument("--seed"', 'asked.add_argument("--data")\nasked.add_argument("--seed"'
    )
    script = script.replace("score = 50", "score = float(open(args.data).read())")
    toml = scripts.STUDY.replace("--seed {seed}", "--seed {seed} --data {data}")
    toml = toml.replace("chance = 0.0", "chance = { ants = 0.0, bees = 0.0 }")
    (tmp_path / "train.py").write_text(script)
    (tmp_path / "ants.txt").write_text("40")
    (tmp_path / "bees.txt").write_text("60")
    path = tmp_path / "study_of_blocks.toml"
    path.write_text(f"{toml}\n[data]\nants = 'ants.txt'\nbees = 'bees.txt'\n")
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports"), "--name", "mine"]
    words = [str(path), "--executor", "serial", "--seeds", "2", "--no-mlflow", "--components", "slope", *places]
    load.cache_clear()
    assert run.main(words) == 0
    found, _ = store.read_all(tmp_path / "results" / "mine")
    each = {(one.trial.variant.label, one.trial.data, one.trial.seed): one.metrics["score"] for one in found.values()}
    assert len(each) == 4 * 2 * 2
    for seed in range(2):
        assert each["reference", "bees", seed] - each["reference", "ants", seed] == pytest.approx(20)
    path.write_text(path.read_text().replace(" --data {data}", ""))
    load.cache_clear()
    capsys.readouterr()
    assert run.main(words) == 2
    assert "the command, which has no {data}, does not ask for data" in capsys.readouterr().err
