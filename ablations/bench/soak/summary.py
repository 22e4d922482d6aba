"""Writes the results of a soak as tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNMEASURED = "the same command measures it"  # the end of a run's last line if it leaves a reference unmeasured
HOW = {
    "driver, serial": "SIGKILL of the command, up to three times in a row, at random moments: in turns of its whole "
    "time, and of that in which it trains",
    "driver, Ray": "the same, with `--executor ray`",
    "worker": "SIGKILL of a Ray process that trains, between the first record and the last",
    "part of Ray": "SIGKILL of the raylet or the GCS of the study's own Ray, likewise",
    "node": "SIGKILL of the raylet of one of three nodes of a cluster, likewise; a new one joins at once",
}


def fault_lines(faults: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Returns a table with a row for each kind of fault: how often and when it struck, and what was lost."""
    lines = [
        "| fault | how injected | times | records there | the run that it struck | lost |",
        "|---|---|---|---|---|---|",
    ]
    for name, how in HOW.items():
        if name in faults:
            struck = [one for run in faults[name] for one in run["struck"]]
            there = sorted(one["records"] / one["of"] for one in struck)
            lost = [sentence for one in struck for sentence in one["lost"]]
            kept = f"{there[0]:.0%} to {there[-1]:.0%}, {sum(map(bool, there))} times some"
            lines.append(
                f"| {name} | {how} | {len(struck)} | {kept} | {_ran(struck)} | {'; '.join(lost) or 'nothing'} |"
            )
    return "\n".join(lines)


def _ran(struck: Sequence[Mapping[str, Any]]) -> str:
    """Returns what the struck runs did: whether they went on to their end, and what they left to be done."""
    left = sum(UNMEASURED in one["sentence"] for one in struck)
    on = sum(one["code"] == 0 for one in struck) + left
    if not on:
        return "ended"
    tried = sum(one["tried_again"] for one in struck)
    words = [f"went on to its end {on} of {len(struck)} times"]
    words += [f"{left} times with activities left to measure"] if left else []
    words += [f"{tried} trials tried again in it"] if tried else []
    return ", ".join(words)


def long_lines(long: Mapping[str, Any]) -> str:
    """Returns a table of the memory of the long study, and what its trials cost and left behind."""
    rows = [
        "| records | driver, MiB | largest worker, MiB |",
        "|---|---|---|",
        *(f"| {row['records']:,} | {row['driver_mib']:,.0f} | {row['workers_mib']:,.0f} |" for row in long["growth"]),
    ]
    words = [f"{long['trials']:,} trials through Ray in {long['seconds']:,.0f} s."]
    if "seconds_a_trial" in long:
        of_driver, most = 1000 * long["driver_processor_seconds_a_trial"], long["trials_a_second_of_a_driver"]
        words.append(
            f"A trial took {long['seconds_a_trial']:.3f} s and {of_driver:.1f} ms of the driver's processor: "
            f"one driver could handle {most:.0f} trials a second."
        )
    if "mlflow_seconds" in long:
        words.append(
            f"Mirrored to MLflow (SQLite) in {long['mlflow_seconds']:,.0f} s, "
            f"{long['mlflow_trials_a_second']:.1f} trials a second."
        )
    words.append(f"Left behind: {'; '.join(long['lost']) or 'nothing'}.")
    return "\n".join([*rows, "", " ".join(words)])


def lost_of(found: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for everything that was lost."""
    struck = [one for runs in found["faults"].values() for run in runs for one in run["struck"]]
    return [sentence for one in [*struck, found.get("long", {"lost": []})] for sentence in one["lost"]]
