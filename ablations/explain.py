"""python -m ablations.explain STUDY: why trials have no outcome, and how the code has changed.

A trial has no outcome here if the next run, with today's study file, would train it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from ablations.analysis.why import BEGUN, KEPT, Reason, changed, headline, reasons, which
from ablations.cli.arguments import parsed
from ablations.cli.help_page import show
from ablations.core.errors import InputError, answered, at_home, nearest, printable, shown
from ablations.core.load import load
from ablations.core.result import Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.core.text import counted
from ablations.core.trial import Trial
from ablations.core.variant import Variant

WIDTH = 100  # characters of a line


EXAMPLES = (
    ("python -m ablations.explain STUDY", "which trials have no outcome, and why"),
    ("python -m ablations.explain STUDY --from 1a2b3c", "how the code of a record differs from today's"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the reasons, or a unified diff.  Returns the exit code: 0, or 2 if the study or the key does not exist."""
    words = sys.argv[1:] if arguments is None else arguments
    return answered(lambda: _main(words), stopped="stopped")


def _main(words: Sequence[str]) -> int:
    study, results, key = parsed(_arguments, words, prog="python -m ablations.explain", examples=EXAMPLES)
    from ablations.records import store

    folder = store.find(study, at_home(results))
    show(f"{printable(difference(folder, key) if key else explained(folder))}\n")
    return 0


def _arguments(
    study: str,
    /,
    results: str = "results",
    key: Annotated[str, tyro.conf.arg(name="from", metavar="KEY")] = "",
) -> tuple[str, str, str]:
    """Say why trials of a study have no outcome: never run, half trained, failed, or run by other code.

    Args:
        study: its name, or the path of its folder
        results: the folder that holds the studies' records
        key: show instead how the code of the record with this key differs from today's code
    """
    return study, results, key


def explained(folder: Path) -> str:
    """Returns the reasons, each with its trials, the most common first.  Raises InputError without a readable plan."""
    import textwrap

    from ablations.records import store

    study = store.read_study(folder)
    store.check_study_file(folder, study)
    results, _ = store.read_all(folder)
    trials, gone = planned(study)
    unreadable = {path.stem for path in (folder / "trials").glob("*.json")} - results.keys()
    found = [*reasons(trials, results, unreadable, _changes(folder, study, results), _begun(folder, trials)), *gone]
    total, lacking = len(trials) + sum(len(one.trials) for one in gone), sum(len(one.trials) for one in found)
    lines = [f"{study.name}: {headline(total, lacking)}."]
    for one in found:
        lines.append("")
        lines += textwrap.wrap(f"{len(one.trials):>6}  {one.words}", WIDTH, subsequent_indent=" " * 8)
        found_in = which(one.trials, several=bool(study.setting.blocks))
        lines += textwrap.wrap(found_in, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


def _begun(folder: Path, trials: Mapping[str, Trial]) -> dict[str, str]:
    """Returns what is left of trials that were begun, by key: an unfinished training, or only a log or a folder."""
    from ablations.records.checkpoint import unfinished_path

    found = {}
    for key, trial in trials.items():
        if unfinished_path(folder, trial.training.key).exists():
            found[key] = KEPT
        elif any(path.exists() for path in (folder / "logs" / f"{key}.txt", folder / "folders" / key)):
            found[key] = BEGUN
    return found


def planned(study: Study) -> tuple[dict[str, Trial], list[Reason]]:
    """Returns the trials of a study as today's code makes them, by key, and those of changes that it no longer has."""
    subject = load(study.subject)
    recorded, now = study.setting, study.setting
    own = "code" in recorded.config
    if own:
        now = replace(now, config={**now.config, "code": subject.digest()})
    found: list[tuple[Trial, str]] = []  # a trial of today, and its key in the plan
    gone: dict[str, list[Trial]] = {}
    each = [*zip(recorded.each, now.each, strict=True)]
    for seed, (then, today), variant in itertools.product(range(study.seeds), each, study.variants):
        try:
            before, trial = (_trial(study, setting, variant, seed) for setting in (then, today))
            found.append((trial, before.key))
        except InputError as error:
            gone.setdefault(f"the study file no longer has it: {error}", []).append(
                _trial(study, then, Variant(), seed, label=variant)
            )
    keys = [key for _, key in found]
    if not own and len(keys) == len(study.keys):  # a tuned study has other keys, as its rates were chosen
        return dict(zip(study.keys, (trial for trial, _ in found), strict=True)), []
    asked = set(study.keys) if study.looks else set(keys)
    trials = {trial.key: trial for trial, key in found if key in asked}
    return trials, [Reason(words=words, trials=tuple(some)) for words, some in gone.items()]


def _trial(study: Study, setting: Setting, variant: Variant, seed: int, *, label: Variant | None = None) -> Trial:
    """Returns a trial of the plan.  `label`, if given, is the variant that it is reported under."""
    return Trial(
        variant=label or variant,
        seed=seed,
        data=setting.data,
        fingerprint=setting.fingerprint,
        config=load(study.subject).configure(setting, variant.departures),
        subject=study.subject,
    )


def _changes(folder: Path, study: Study, results: Mapping[str, Result]) -> dict[str, str]:
    """Returns for each digest of other code in the records how that code differs from today's."""
    from ablations.records.sources import read_sources

    now = _today(study)
    found = {}
    for digest in {str(one.trial.config.get("code", "")) for one in results.values()} - {load(study.subject).digest()}:
        before = read_sources(folder, digest)
        words = "the code changed since; its sources were not kept" if before is None else changed(before, now)
        found[digest] = words or "the code changed since"
    return found


def _today(study: Study) -> dict[str, bytes]:
    from ablations.records.sources import shortened

    subject: Any = load(study.subject)
    return shortened(subject.sources())


def difference(folder: Path, key: str) -> str:
    """Returns a unified diff from a record's sources to today's.

    Raises InputError if there is no such record, or if its sources were not kept.
    """
    import difflib

    from ablations.records import store
    from ablations.records.sources import read_sources

    study = store.read_study(folder)
    store.check_study_file(folder, study)
    results, _ = store.read_all(folder)
    if key not in results:
        raise InputError(
            f"no record has the key {shown(key)}{nearest(key, results)} There are {counted(len(results), 'record')}."
        )
    digest = str(results[key].trial.config.get("code", ""))
    before = read_sources(folder, digest)
    if before is None:
        raise InputError(f"the sources of {key} were not kept, so there is nothing to compare with.")
    now = _today(study)
    lines: list[str] = []
    for name in sorted({*before, *now}):
        one, two = (files.get(name, b"").decode(errors="replace").splitlines(keepends=True) for files in (before, now))
        lines += difflib.unified_diff(one, two, f"{key}/{name}", f"today/{name}")
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).rstrip("\n")
    return text or f"the sources of {key} are the same as today's."


if __name__ == "__main__":
    sys.exit(main())
