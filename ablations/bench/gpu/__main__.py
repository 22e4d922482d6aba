"""python -m ablations.bench.gpu: measures everything that needs a GPU, in twelve minutes of one.

It needs torch, numpy, pandas, Pillow, filelock and this repository, but no Ray, MLflow or tyro; hence argparse.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.cli.help_page import asks_for_help, show
from ablations.core.errors import InputError, answered, at_home, unknown
from ablations.core.text import duration

if TYPE_CHECKING:
    from ablations.bench.gpu.part import Row, Run

SCHEMA = 1  # version of the record
MINUTES = 12.0  # time of all parts
AMPLE = 3600.0  # seconds of a part in a trial run, which are enough on every machine
LATE = 0.25  # share of a part's time by which it may run over
HELD, FAILED, NOT_RUN = 0, 1, 3  # exit codes; 2 is that of bad input


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the whole."""

    name: str
    words: str  # what it does
    seconds: float  # its share of the twelve minutes of an H100


PARTS = (
    Part(name="checks", words="captured, packed and rounded steps are what was asked for", seconds=110),
    Part(name="speed", words="images a second and memory, eager, captured and packed", seconds=140),
    Part(name="lrn", words="cuda_convnet_11pct with and without LRN on CIFAR-10, five seeds", seconds=130),
    Part(name="factorial", words="the factorial of the repository on CIFAR-10, seed by seed", seconds=80),
    Part(name="imagenette", words="vision_hist and vision_hist_vgg16 on Imagenette, 90 epochs", seconds=250),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts.  Returns 0 if all held, 1 if something failed, 2 on bad input, 3 if something could not run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if asks_for_help(arguments):
        show(_parser().format_help())
        return HELD
    asked = _parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "ablations.bench.gpu", *arguments])
    return answered(lambda: _answer(asked, command), stopped="stopped; what was finished is in the folder")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ablations.bench.gpu",
        description="Measures everything that needs a GPU, in twelve minutes of one.",
    )
    say = parser.add_argument
    names = ",".join(part.name for part in PARTS)
    say(
        "folder",
        nargs="?",
        type=Path,
        default=Path("results/bench/gpu"),
        help="folder for a record of each part, and for studies",
    )
    say("--parts", default=names, help=f"parts to run, with commas between names or numbers ({names})")
    say(
        "--cifar10",
        type=Path,
        help="CIFAR-10: a folder with train/ and test/, which hold class folders, or an archive of it",
    )
    say("--imagenette", type=Path, help="Imagenette, likewise, with train/ and val/")
    say("--cache", type=Path, help="folder for unpacked and decoded images (default: a temporary folder)")
    say("--device", choices=("cuda", "cpu"), help="default: cuda if there is a GPU")
    say(
        "--precision",
        choices=("float32", "tf32", "bf16"),
        default="bf16",
        help="precision of the last part; the others choose their own",
    )
    say(
        "--minutes",
        type=float,
        default=MINUTES,
        help="time for all five parts, of which each has its share (default: 12)",
    )
    say("--tiny", action="store_true", help="tiny sizes, for a trial run through all of the code in seconds")
    say("--needs", nargs="?", const="", metavar="FILE", help=_NEEDS)
    return parser


_NEEDS = """print only which packages that the repository needs are missing here, with versions; with a FILE that holds
the `pip list` of another machine, which are missing there"""


def _answer(asked: argparse.Namespace, command: str) -> int:
    if asked.needs is not None:
        return _tell_needs(asked.needs)
    parts = _chosen(asked.parts)
    if not asked.minutes > 0:
        raise InputError(f"--minutes is {asked.minutes:g}; it must be above 0.")
    device = _device(asked.device)
    folder = at_home(asked.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ablations-gpu-") as temporary:
        cache = at_home(asked.cache).resolve() if asked.cache else Path(temporary)
        codes = [_run(part, asked, folder, device, cache, command) for part in parts]
    return next((code for code in (FAILED, NOT_RUN) if code in codes), HELD)


def _tell_needs(file: str) -> int:
    from ablations.bench.gpu import needs

    there = needs.installed()
    if file:
        path = at_home(file)
        if not path.is_file():
            raise InputError(
                f"--needs {file}: there is no such file; it must hold what `pip list` prints on the other machine."
            )
        there = needs.listed_in(path.read_text(encoding="utf-8", errors="replace"))
    show("\n".join([*needs.lines(needs.needs(there)), ""]))
    return HELD


def _chosen(words: str) -> list[Part]:
    by_name = {part.name: part for part in PARTS} | {str(number): part for number, part in enumerate(PARTS, start=1)}
    asked = [word.strip() for word in words.split(",") if word.strip()]
    for word in asked:
        if word not in by_name:
            raise unknown("part", word, [part.name for part in PARTS])
    return list(dict.fromkeys(by_name[word] for word in asked))


def _device(asked: str | None) -> Any:
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; leave it out, or take cpu.")
    name = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.deterministic = True  # as studies run
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def _rows(name: str) -> Callable[[Run], Iterator[Row]]:
    """Returns the function of a part, which is imported only now, so that a broken part does not stop the others."""
    from ablations.bench.gpu import checks, speed, trainings

    return {
        "checks": checks.rows,
        "speed": speed.rows,
        "lrn": trainings.lrn_rows,
        "factorial": trainings.factorial_rows,
        "imagenette": trainings.imagenette_rows,
    }[name]


def _run(part: Part, asked: argparse.Namespace, folder: Path, device: Any, cache: Path, command: str) -> int:
    """Runs a part and prints its rows, writes FOLDER/PART.json however it ends, and returns its exit code."""
    from ablations.bench.gpu.part import MissingError, OutOfTimeError, Run

    run = Run(
        folder=folder,
        device=device,
        tiny=asked.tiny,
        images={"cifar10": asked.cifar10, "imagenette": asked.imagenette},
        cache=cache,
        command=command,
        precision=asked.precision,
        seconds=AMPLE if asked.tiny else part.seconds * asked.minutes / MINUTES,
    )
    print(f"{part.name}: {part.words}; {duration(round(run.seconds))} at most", flush=True)
    rows: list[Row] = []
    ended, code = "done", HELD
    try:
        for row in _rows(part.name)(run):
            rows.append(row)
            print(f"  {row.line}", flush=True)
            if run.left < -LATE * run.seconds:
                raise OutOfTimeError
    except MissingError as error:
        ended, code = f"not run: {error}", NOT_RUN
    except OutOfTimeError:
        ended, code = f"stopped after its {duration(round(run.seconds))}", FAILED
    except Exception as error:  # the parts that follow can still run
        import traceback

        traceback.print_exc()
        ended, code = f"it failed: {type(error).__name__}: {error}", FAILED
    if code == HELD:
        code = (
            FAILED if not all(row.held for row in rows) else NOT_RUN if any(row.value is None for row in rows) else HELD
        )
    _forget(run)
    took = time.perf_counter() - run.began
    print(f"{part.name}: {ended}, {_judged(rows)}, {duration(round(took))}", flush=True)
    _save(part, run, rows, ended, took)
    return code


def _forget(run: Run) -> None:
    """Frees the memory of the device that the part has used."""
    import torch

    gc.collect()
    if run.cuda:
        torch.cuda.empty_cache()


def _judged(rows: Sequence[Row]) -> str:
    judged = [row for row in rows if row.value is not None and row.allowed is not None]
    missing = sum(row.value is None for row in rows)
    return f"{sum(row.held for row in judged)} of {len(judged)} held" + (f", {missing} rows not run" if missing else "")


def _save(part: Part, run: Run, rows: Sequence[Row], ended: str, took: float) -> None:
    from ablations.records.files import write_json
    from ablations.records.provenance import provenance

    record = {
        "schema": SCHEMA,
        "part": part.name,
        "ended": ended,
        "seconds": took,
        "tiny": run.tiny,
        "provenance": provenance(command=run.command, threads=1, device=str(run.device)),
        "rows": [
            {
                "name": row.name,
                "value": row.value,
                "unit": row.unit,
                "allowed": row.allowed,
                "held": row.held,
                "said": row.said,
                "more": dict(row.more),
            }
            for row in rows
        ],
    }
    write_json(run.folder / f"{part.name}.json", record)


if __name__ == "__main__":
    sys.exit(main())
