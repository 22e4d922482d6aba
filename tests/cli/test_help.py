"""What `--help` of every command prints: one layout, options in groups, examples that are understood."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from ablations import calibrate, run
from ablations.cli import help_page
from ablations.cli.options import check, options_of, resolved, subject_among, with_subject
from tests.own.files import FILE, TRIAL

COMMANDS = ["calibrate", "check", "explain", "new", "report", "reseed", "run", "show", "sync"]
MODULES = [f"ablations.{name}" for name in COMMANDS] + ["ablations.bench.__main__", "ablations.bench.soak.__main__"]


def helped(module: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints when it is asked for help."""
    try:
        code = importlib.import_module(module).main([*words, "--help"])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    assert (code or 0, printed.err) == (0, "")
    return printed.out


def groups_in(text: str) -> dict[str, list[str]]:
    """The options of each group, by its title, as a reader finds them."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if title := re.fullmatch(r"([a-z]+):", line):
            found[title[1]] = []
        elif option := re.match(r"  (--[\w-]+|-h)", line):
            found[[*found][-1]].append(option[1])
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_help_of_every_command_has_a_usage_a_sentence_its_options_and_examples(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = helped(module, capsys)
    name = module.removesuffix(".__main__")
    usage, sentence = text.split("\n\n")[:2]
    assert usage.startswith("usage: ") and f"python -m {name}" in usage
    assert sentence.endswith(".") and "-h" in groups_in(text)["options"]
    assert f"python -m {name}" in text.partition("\nexamples:\n")[2]
    assert max(map(len, text.splitlines())) <= 80


def test_each_option_of_a_study_stands_in_one_of_five_groups(capsys: pytest.CaptureFixture[str]) -> None:
    groups = groups_in(helped("ablations.run", capsys))
    assert [*groups] == ["study", "data", "time", "hardware", "output", "options", "examples"]
    assert groups.pop("options") == ["-h"]
    shown = [option for options in groups.values() for option in options]
    fields = {f"--{one.name.replace('_', '-')}" for one in dataclasses.fields(options_of())} - {"--left-open"}
    assert sorted(shown) == sorted(fields)
    assert {"--dataset", "--image-size"} <= {*groups["data"]} and {"--seeds", "--epochs"} <= {*groups["time"]}


def test_help_says_what_an_option_is_where_it_is_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(helped("ablations.run", capsys).split())
    assert "--results PATH Folder for records. (default: results)" in text
    assert "(default: None)" not in text and "(default: False)" not in text
    assert "--from KEY" in helped("ablations.explain", capsys)


def test_help_of_a_study_file_names_its_question_its_changes_and_its_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(FILE + TRIAL)
    text = " ".join(helped("ablations.run", capsys, str(tmp_path / "mine.py")).split())
    assert "usage: python -m ablations.run mine.py [OPTIONS]" in text
    assert "python -m ablations.run mine.py --seeds 10" in text
    assert "Here: slope, noise." in text.partition("--components")[2]
    assert "Here: " in text.partition("--set")[2] and "--dataset" not in text


def test_a_long_list_is_cut_with_the_number_of_what_is_left_out() -> None:
    from ablations.core.text import capped, few

    assert capped("abcd", 3) == "a, b, c, d"  # "and 1 more" is no shorter
    assert capped(range(1005), 2) == "0, 1 and 1,003 more"
    assert few("abc", 3) == "a, b and c" and few(range(1005), 2) == "0, 1 and 1,003 more"


@pytest.mark.parametrize("kind", calibrate.KINDS)
def test_each_kind_of_made_up_study_names_its_options(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = helped("ablations.calibrate", capsys, kind)
    assert f"usage: python -m ablations.calibrate {kind} [OPTIONS]" in text and "--studies INT" in text


@pytest.mark.parametrize("module", MODULES)
def test_an_example_is_of_a_command_that_there_is(module: str) -> None:
    for command, what in importlib.import_module(module).EXAMPLES:
        assert what and importlib.util.find_spec(command.partition(" -m ")[2].split()[0])


@pytest.mark.parametrize(
    "words",
    [command.partition("ablations.run")[2] for command, _ in run.EXAMPLES if "ablations.run" in command]
    + [f"study.py {words}" for words, _ in run.OF_A_FILE],
)
def test_an_example_of_a_study_is_understood(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").write_text(FILE + TRIAL)
    given = with_subject(shlex.split(words))
    asked: object = tyro.cli(options_of(subject_among(given)), args=given, config=(tyro.conf.FlagCreatePairsOff,))
    check(resolved(asked)[0])


def test_help_loads_nothing_that_takes_long_whatever_the_command(tmp_path: Path) -> None:
    (mine := tmp_path / "mine.py").write_text(FILE + TRIAL)
    heavy = {"torch", "scipy", "pandas", "ray", "mlflow", "matplotlib", "PIL"}
    code = (
        "import contextlib, importlib, io, sys\n"
        f"words = [[name, '--help'] for name in {MODULES!r}]\n"
        f"words += [['ablations.run', {str(mine)!r}, '--help'], ['ablations.calibrate', 'rule', '-h']]\n"
        "for name, *rest in words:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        importlib.import_module(name).main(rest)\n"
        f"print(*{heavy!r} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


@pytest.mark.parametrize(
    "words", ["run --help", "show components", "bench.gpu --help", "bench.gpu --needs"], ids=lambda words: words
)
def test_who_stops_reading_causes_no_error(words: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", *f"ablations.{words}".split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_a_narrow_or_a_wide_terminal_gets_lines_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, most in (("30", help_page.NARROWEST), ("400", help_page.WIDEST)):
        monkeypatch.setenv("COLUMNS", columns)
        text = help_page.page(options_of(), "python -m x", examples=[("short", "what")])
        assert max(map(len, text.splitlines())) <= most
