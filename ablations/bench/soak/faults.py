"""Kills processes of studies at random moments, runs the same command again, and finds what was lost."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablations.bench.rounds import descendants
from ablations.bench.soak.processes import left_after, marked
from ablations.bench.soak.processes import workers as workers_of
from ablations.bench.soak.tiny import GRACE, Ended, Place, Seen, contents, gone, losses, seen

NODES = 2  # nodes of a cluster beside its head
SLOW = 180.0  # seconds that a node of Ray may take to start
TRIES = 10  # most studies in a row that end before the moment of their fault


@dataclass(frozen=True)
class Struck:
    """One fault and its consequences."""

    after_seconds: float  # time of the fault, from the start of the command or from its first record
    records: int  # finished records at that time
    of: int  # records of the whole study
    code: int | None  # exit code of the run that was struck: 0 if it went on to its end, -9 if its driver was killed
    sentence: str  # last line that this run printed on standard error
    tried_again: int  # trials that the same run tried again; counted with the last fault of a study
    lost: list[str]  # a sentence for each thing that was lost


@dataclass(frozen=True)
class Undisturbed:
    """The records and times of a study without faults."""

    records: Mapping[str, dict[str, object]]  # by the key of their trial
    seconds: float  # of the whole command
    until_first: float  # seconds until the first record


@dataclass(frozen=True)
class _Way:
    """How a command is run."""

    executor: str
    more: tuple[str, ...] = ()  # further options
    environment: Mapping[str, str] = field(default_factory=dict)  # further variables
    still_training: Callable[[], list[str]] = list  # gives a sentence for each process that still trains after the end


class Faults:
    """Runs studies of the same trials, strikes them with faults, and finds what each lost."""

    def __init__(self, place: Place, *, seeds: int, components: str) -> None:
        self.place, self.seeds, self.components = place, seeds, components
        self.random = random.Random(0)
        self.number = self.kills = 0
        self.calm: dict[str, Undisturbed] = {}
        self.seconds: dict[str, float] = {}  # shortest time that a study without faults took, by executor

    def words(self, name: str, executor: str, more: list[str]) -> list[str]:
        """Returns the command of the study `name`."""
        return [*self.place.words(name, seeds=self.seeds, components=self.components, executor=executor), *more]

    def undisturbed(self, executor: str, *, more: list[str], environment: Mapping[str, str]) -> Undisturbed:
        """Runs the study once without faults, and returns its records and times.

        Raises RuntimeError if it fails, or if its records differ from those of the first executor that ran.
        """
        key = "cluster" if more else executor
        if key in self.calm:
            return self.calm[key]
        name, began = f"calm-{key}", time.monotonic()
        process = self.place.start(self.words(name, executor, more), **environment)
        first = self._until_record(name, process) - began
        done = self.place.ended(process)
        found = Undisturbed(contents(self.place.study(name)), time.monotonic() - began, first)
        if done.code or not found.records:
            raise RuntimeError(f"an undisturbed study failed: {done.error or done.out}")
        if self.calm and found.records != next(iter(self.calm.values())).records:
            raise RuntimeError(f"the records of {key} differ from those of {next(iter(self.calm))} without any fault")
        self.calm[key] = found
        self.seconds.setdefault(key, found.seconds)
        return found

    def driver(self, executor: str, most: int) -> list[Struck]:
        """Kills the process of the command, at a moment of its whole time or of its training time in turn.

        The same command is then run again, killed `most` times in all, and at last not killed.
        """
        calm = self.undisturbed(executor, more=[], environment={})

        def strike(name: str, process: subprocess.Popen[str]) -> list[tuple[float, Seen]]:
            began = time.monotonic()
            moment = self.random.uniform(0, self.seconds[executor])
            self.kills += 1
            if self.kills % 2 == 0:  # every second kill comes while it trains, since a tiny study mostly starts
                share = (self.seconds[executor] - calm.until_first) / self.seconds[executor]
                moment = self._until_record(name, process) - began + max(0.0, share) * moment
            if not _waits(process, max(0.0, began + moment - time.monotonic())):
                return []
            process.kill()
            process.wait()
            return [(moment, seen(self.place.study(name)))]

        return self._struck(_Way(executor), strike, calm, most)

    def worker(self, most: int) -> list[Struck]:
        """Kills up to `most` workers of one run, at moments between its first record and its last."""

        def kills() -> bool:
            alive = workers_of(self.place.mark)
            with contextlib.suppress(ProcessLookupError):
                if alive:
                    os.kill(self.random.choice(alive).number, signal.SIGKILL)
                    return True
            return False

        return self._while_it_trains(_Way("ray"), kills, most)

    def part(self) -> list[Struck]:
        """Kills the raylet or the GCS of the study's own Ray, without which Ray cannot go on."""

        def kills() -> bool:
            parts = [process for process in marked(self.place.mark) if process.name in ("raylet", "gcs_server")]
            if parts:
                os.kill(self.random.choice(parts).number, signal.SIGKILL)
            return bool(parts)

        return self._while_it_trains(_Way("ray"), kills, 1)

    def node(self, cluster: Cluster) -> list[Struck]:
        """Kills the raylet of a node of a cluster; a new node joins at once, while the study goes on."""

        def kills() -> bool:
            cluster.kill(self.random.randrange(NODES))
            cluster.join()
            return True

        more = ("--ray-address", cluster.address)
        return self._while_it_trains(_Way("ray", more, cluster.secret, cluster.still_training), kills, 1)

    def _while_it_trains(self, way: _Way, kills: Callable[[], bool], most: int) -> list[Struck]:
        calm = self.undisturbed(way.executor, more=list(way.more), environment=way.environment)

        def strike(name: str, process: subprocess.Popen[str]) -> list[tuple[float, Seen]]:
            first, done = self._until_record(name, process), list[tuple[float, Seen]]()
            span = 0.8 * (calm.seconds - calm.until_first)
            for moment in sorted(self.random.uniform(0, span) for _ in range(most)):
                if not _waits(process, max(0.0, first + moment - time.monotonic())):
                    break
                now = seen(self.place.study(name))
                if kills():
                    done.append((moment, now))
            return done

        return self._struck(way, strike, calm, 1)

    def _struck(
        self,
        way: _Way,
        strike: Callable[[str, subprocess.Popen[str]], list[tuple[float, Seen]]],
        calm: Undisturbed,
        runs: int,
    ) -> list[Struck]:
        """Runs a command up to `runs` times with faults, then once without.  Returns the faults and what was lost."""
        for _ in range(TRIES):
            self.number += 1
            name, struck, before = f"struck-{self.number}", list[Struck](), Seen({}, {}, ())
            words = self.words(name, way.executor, list(way.more))
            for _ in range(runs):
                began = time.monotonic()
                process = self.place.start(words, **way.environment)
                hits = strike(name, process)
                ended = self.place.ended(process)
                if not hits:  # the run ended before its fault, so the next moment is drawn from a shorter time
                    self.seconds[way.executor] = min(self.seconds[way.executor], time.monotonic() - began)
                    break
                for moment, now in hits:
                    struck.append(_one(moment, now, ended, len(calm.records), gone(before, now)))
                    before = now
            if struck:
                again = self.place.ended(self.place.start(words, **way.environment))
                lost = losses(self.place, name, before, calm.records, again) + way.still_training()
                tried = _tried_again(self.place.study(name))
                struck[-1] = replace(struck[-1], tried_again=tried, lost=[*struck[-1].lost, *lost])
                return struck
        raise RuntimeError(f"{TRIES} studies in a row ended before the moment of their fault")

    def _until_record(self, name: str, process: subprocess.Popen[str]) -> float:
        """Waits for the next record, or for the end of the process, and returns the time by `time.monotonic`."""
        trials = self.place.study(name) / "trials"
        before = len(list(trials.glob("*.json")))
        while process.poll() is None and len(list(trials.glob("*.json"))) == before:
            time.sleep(0.05)
        return time.monotonic()


def _waits(process: subprocess.Popen[str], seconds: float) -> bool:
    """Waits for `seconds`, or until `process` ends.  Returns whether it still runs."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return False
    return True


def _one(moment: float, now: Seen, ended: Ended, of: int, lost: list[str]) -> Struck:
    return Struck(round(moment, 2), len(now.finished), of, ended.code, ended.sentence, 0, lost)


def _tried_again(folder: Path) -> int:
    from ablations.records.store import read_all

    return sum("tries_before" in result.provenance for result in read_all(folder)[0].values())


class Cluster:
    """A cluster of real nodes of Ray, each with one processor, all on this machine."""

    def __init__(self, place: Place) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # The nodes have a mark of their own, since they outlive a study.
        self.place, self.address = replace(place, mark=secrets.token_hex(8)), f"127.0.0.1:{port}"
        self.secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.started: list[subprocess.Popen[bytes]] = []  # the head first, without the nodes that were killed
        self.all: list[subprocess.Popen[bytes]] = []
        self.folder, self.log = place.folder / "ray", place.folder / "ray.log"
        self.folder.mkdir()
        self._start(["--head", "--port", str(port), "--include-dashboard", "false", "--temp-dir", str(self.folder)])

    def join(self) -> None:
        """Starts one more node, and waits until it has joined."""
        self._start(["--address", self.address])

    def kill(self, number: int) -> None:
        """Kills the raylet of the node `number`, which does not count the head."""
        node = self.started.pop(1 + number)
        for process in descendants(node.pid):
            if Path(f"/proc/{process}/comm").read_text().strip() == "raylet":
                os.kill(process, signal.SIGKILL)
        node.wait(SLOW)

    def still_training(self) -> list[str]:
        """Returns a sentence for each process of the cluster that still runs a trial after its study ended."""
        until = time.monotonic() + GRACE
        while (left := workers_of(self.place.mark)) and time.monotonic() < until:
            time.sleep(0.2)
        return [f"process {one.number} of the cluster still trains" for one in left]

    def _start(self, more: list[str]) -> None:
        ray = str(Path(sys.executable).parent / "ray")
        words = [ray, "start", "--num-cpus", "1", "--disable-usage-stats", "--block", *more]
        before = self._up()
        environment = {**self.place.environment(), **self.secret, "TMPDIR": str(self.folder)}
        with self.log.open("a") as log:
            node = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.started.append(node)
        self.all.append(node)
        deadline = time.monotonic() + SLOW
        while self._up() == before:
            if time.monotonic() > deadline or node.poll() is not None:
                raise RuntimeError(f"a node of Ray did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.2)

    def _up(self) -> int:
        return self.log.read_text().count("Ray runtime started") if self.log.exists() else 0

    def end(self) -> None:
        """Ends all nodes."""
        for node in self.all:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGTERM)
        for node in self.all:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(GRACE)
        for process in left_after(self.place.mark, GRACE):  # every process of this mark should have ended by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.number, signal.SIGKILL)


@contextlib.contextmanager
def cluster(place: Place) -> Iterator[Cluster]:
    """Starts a cluster of a head and `NODES` more, and ends it at the end of the context."""
    made = Cluster(place)
    try:
        for _ in range(NODES):
            made.join()
        yield made
    finally:
        made.end()
