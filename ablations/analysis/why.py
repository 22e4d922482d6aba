"""Why trials have no record: never run, failed, or run by other code, and which of its functions differ."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablations.core.identity import leaves
from ablations.core.result import FINAL, Result
from ablations.core.text import counted, few, last_line, listed
from ablations.core.trial import Trial

MOST = 3  # names that a sentence lists
NEVER = "never run"
KEPT = "begun and not ended: the next run goes on from what is kept in unfinished/"
BEGUN = "begun and not ended: its process was killed, or runs now"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A reason why trials have no usable record."""

    words: str  # the reason
    trials: tuple[Trial, ...]  # those that have it


def reasons(
    trials: Mapping[str, Trial],
    results: Mapping[str, Result],
    unreadable: Collection[str],
    code: Mapping[str, str],
    begun: Mapping[str, str],
) -> list[Reason]:
    """Returns the reasons why those of `trials` that have no outcome have none, the most common reason first.

    Args:
        trials: the planned trials, by key.
        results: all results in the study's folder, by key.
        unreadable: keys of records that cannot be read.
        code: digest of other code -> how it differs from today's, in words.
        begun: key of a trial that has begun and has no record -> what it left, in words.
    """
    others: dict[tuple[str, int, str], list[Result]] = {}
    for one in results.values():
        others.setdefault(_place(one.trial), []).append(one)
    found: dict[str, list[Trial]] = {}
    for key, trial in trials.items():
        here = results.get(key)
        if here is None or here.status not in FINAL:
            words = "its record cannot be read" if key in unreadable else begun.get(key, NEVER)
            if here is not None:
                words = f"failed ({here.status.replace('_', ' ')}): {last_line(here.error)}"
            elif words == NEVER and (before := others.get(_place(trial))):
                words = _differs(trial, before, code)
            found.setdefault(words, []).append(trial)
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))
    return [Reason(words=words, trials=tuple(some)) for words, some in ranked]


def _place(trial: Trial) -> tuple[str, int, str]:
    """Returns what two trials have in common if only their config or code differs: variant, seed and data."""
    return trial.variant.label, trial.seed, trial.fingerprint


def _differs(trial: Trial, before: Sequence[Result], code: Mapping[str, str]) -> str:
    """Writes how `trial` differs from the most similar one of `before`: recorded trials of its variant and seed."""
    told = [(_settings(one.trial, trial), str(one.trial.config.get("code", ""))) for one in before]
    settings, digest = min(told, key=lambda one: len(one[0]))
    words = [f"the configuration is another ({few(settings, MOST)})"] if settings else []
    if digest != trial.config.get("code", ""):
        words.append(code.get(digest, "the code changed since"))
    return "; ".join(words) or NEVER


def _settings(before: Trial, now: Trial) -> list[str]:
    """Writes `epochs 30, now 60` for each field of the config that differs."""
    configs = ({name: part for name, part in trial.config.items() if name != "code"} for trial in (before, now))
    one, two = map(leaves, configs)
    unset = "its default"  # a config does not hold default values
    return [
        f"{name.removeprefix('config.').removeprefix('budget.')} {one.get(name, unset)}, now {two.get(name, unset)}"
        for name in {**one, **two}
        if one.get(name, unset) != two.get(name, unset)
    ]


def changed(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> str:
    """Writes how files differ, apart from comments and docstrings: `model.py changed since (function Block.forward)`.

    It is empty if they do not differ.
    """
    words = []
    for name in sorted({*before, *now}):
        if name not in now:
            words.append(f"{name} is gone")
        elif name not in before:
            words.append(f"{name} is new")
        elif before[name] != now[name] and (differing := _pieces_differ(before[name], now[name], name)) is not None:
            words.append(f"{name} changed since{f' ({differing})' if differing else ''}")
    return "; ".join(words)


def _pieces_differ(before: bytes, now: bytes, name: str) -> str | None:
    """Writes which definitions differ; None if only comments or docstrings do, and empty if it is no Python source."""
    if not name.endswith(".py"):
        return ""
    try:
        one, two = dict(pieces(ast.parse(before))), dict(pieces(ast.parse(now)))
    except (SyntaxError, ValueError):
        return ""
    differing = [piece for piece in {**one, **two} if one.get(piece) != two.get(piece)]
    words = []
    for kind in ("function", "class"):
        if names := [piece.partition(" ")[2] for piece in differing if piece.startswith(f"{kind} ")]:
            words.append(f"{kind if len(names) == 1 else kind.replace('ss', 'sse') + 's'} {few(names, MOST)}")
    words += ["statements at its top"] if "" in differing else []
    return ", ".join(words) or None


def pieces(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, str]]:
    """Yields (`function Block.forward`, its source) for each definition, and ("", source) for the rest of the module.

    A source is without comments, docstrings, and definitions inside it, which are yielded by themselves.
    """
    body, path = [], outer.partition(" ")[2]
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield from pieces(node, f"{kind} {path}{'.' if path else ''}{node.name}")
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
            body.append(ast.unparse(node))
    head = ""
    if not isinstance(tree, ast.Module):
        bare = ast.parse(ast.unparse(tree)).body[0]
        bare.body = [ast.Pass()]  # type: ignore[attr-defined]
        head = ast.unparse(bare)
    yield outer, "\n".join([head, *body])


def which(trials: Sequence[Trial], *, several: bool = False) -> str:
    """Writes `-lrn and placebo (seeds 0 to 9); reference (seed 3)`: variants with the same seeds together.

    With `several`, it also names the data set: `-lrn on wine (seed 3)`.
    """
    seeds: dict[str, list[int]] = {}
    for trial in trials:
        on = f" on {trial.data}" if several else ""
        seeds.setdefault(f"{trial.variant.label}{on}", []).append(trial.seed)
    alike: dict[tuple[int, ...], list[str]] = {}
    for label, some in seeds.items():
        alike.setdefault(tuple(sorted(some)), []).append(label)
    return "; ".join(f"{_few_labels(labels)} ({_ranges(some)})" for some, labels in alike.items())


def _few_labels(labels: Sequence[str]) -> str:
    """Writes all labels or, if they are many, the first of them and how many more there are."""
    return few(labels, MOST if len(labels) > 2 * MOST else len(labels))


def _ranges(numbers: Sequence[int]) -> str:
    """Writes `seed 3` or `seeds 0 to 4 and 7`; `numbers` are in rising order."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"{'seed' if len(numbers) == 1 else 'seeds'} {listed(words)}"


def headline(total: int, lacking: int) -> str:
    """Writes `150 trials: 130 with an outcome, 20 without`."""
    return f"{counted(total, 'trial')}: {total - lacking:,} with an outcome, {lacking:,} without"
