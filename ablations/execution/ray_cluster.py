"""The Ray that trials run on: started here, behind a secret, or joined; whether it is still there.

This file and `ray_executor` are the only ones that import ray.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NoReturn

import ablations.execution.ray_environment  # noqa: F401  before ray, which reads it once

# isort: split
import ray
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ablations.core.errors import InputError, StoppedError, answered
from ablations.core.machine import cores_here, slots
from ablations.execution.allocator import ENVIRONMENT
from ablations.records.leftovers import own_folder, short_parent

LOOK = 10.0  # seconds between two looks whether a cluster is still there, and that its head has to answer
SHORT = 28  # bytes of a folder under which the paths of Ray's sockets fit into the 104 or 108 that systems allow
PATIENCE = 20.0  # seconds from the loss of Ray in which the driver ends by itself; Ray ends it after 60
GOES_ON = "the same command goes on where it was"
SERIAL = "--executor serial runs without Ray"


class BrokenRayError(BaseException):
    """Ray has lost a part that it cannot do without.  No Exception: Tune would wait a minute for Ray to tidy up."""


@contextlib.contextmanager
def joined(address: str, *, wait_for: Mapping[str, float] | None = None) -> Iterator[list[dict[str, float]]]:
    """The Ray cluster at `address`, as what each of its machines has of "CPU" and "GPU".

    With `wait_for` not before one of them has so much: of a cluster that brings up machines as they are asked for.
    Raises InputError where it cannot be joined.
    """
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _init(address=address, runtime_env={"env_vars": dict(ENVIRONMENT)})
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        lines = str(error.__cause__ or error).strip().splitlines()  # a traceback in words, whose last line tells why
        said = lines[-1][:200].rstrip(".") if lines else type(error).__name__
        hint = "" if "RAY_AUTH_MODE" in os.environ else "; one that asks for a token needs RAY_AUTH_MODE=token here too"
        raise InputError(f"no Ray cluster can be joined at --ray-address {address} ({said}){hint}.") from error
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's own leaves without a word
    try:
        if wait_for and not any(slots(one, wait_for["CPU"], wait_for["GPU"]) for one in machines()):
            _come(wait_for)
        yield machines()
    finally:
        ray.shutdown()


def machines() -> list[dict[str, float]]:
    """What each machine that Ray has by now has of "CPU" and "GPU"."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _come(wanted: Mapping[str, float]) -> None:
    """Waits for a machine with so much: asks for it as a trial does, with a task that does nothing there."""
    print(
        f"waiting   for a machine with {wanted['CPU']:g} processors and {wanted['GPU']:g} GPUs, which the cluster "
        "has been asked for and has not yet; Ctrl-C stops",
        flush=True,
    )
    asked = ray.remote(lambda: None).options(num_cpus=wanted["CPU"], num_gpus=wanted["GPU"]).remote()
    while not ray.wait([asked], timeout=1.0)[0]:  # a second each: Ctrl-C is heard in between
        pass
    ray.get(asked)


@contextlib.contextmanager
def started() -> Iterator[Callable[[], object]]:
    """A Ray of our own, without a dashboard, with a secret and a temporary folder that go with it.

    It starts in a thread, as it mostly waits for its processes; what is yielded waits for it, or raises StoppedError
    with what kept it from starting.  Where a Ray is up already it is that one: a study keeps its Ray over all rounds
    of tuning and all looks.
    """
    if ray.is_initialized():
        with _watched(lambda: True):
            yield lambda: None
        return
    with contextlib.ExitStack() as until_the_end:
        folder = until_the_end.enter_context(_temporary())
        until_the_end.enter_context(_guarded(folder))
        threads = until_the_end.enter_context(contextlib.ExitStack())
        ended = threading.Event()
        thread = threads.enter_context(ThreadPoolExecutor(1, "starts"))
        start = thread.submit(_start, folder, threads, ended)
        with _watched(start.done, then=ray.shutdown):
            try:
                yield start.result
            finally:
                ended.set()
                wait([start])


@contextlib.contextmanager
def _watched(begun: Callable[[], bool], *, then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Does `then` at the end.  Where Ray is lost before that, once it has `begun`, this process ends in time.

    A call of Ray's that needs what is lost does not come back, not for Ctrl-C either: after a minute, Ray ends the
    process, with lines of its own.  What the driver knows by then is on disk.
    """
    stop, over, lost = threading.Event(), threading.Event(), threading.Event()

    def watch() -> None:
        since = 0.0
        while not (over if lost.is_set() else stop).wait(1.0):
            try:
                if begun():
                    look()
                    _look_far()
                lost.clear()
            except BrokenRayError as error:
                since = since if lost.is_set() else time.monotonic()
                lost.set()
                if time.monotonic() - since > PATIENCE:
                    _leave(error)

    watching = threading.Thread(target=watch, name="watches Ray", daemon=True)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        if not lost.is_set():
            watching.join()
        try:
            then()
        finally:
            over.set()


def _leave(error: BrokenRayError) -> NoReturn:
    """Ends this process with one sentence, and what is left of a Ray of its own."""
    node: Any = ray._private.worker._global_node
    for processes in list(node.all_processes.values()) if node else ():
        for one in processes:
            with contextlib.suppress(OSError):
                one.process.kill()

    def stopped() -> int:
        raise StoppedError(f"{error}; {GOES_ON}")

    os._exit(answered(stopped))


def _start(folder: Path, threads: contextlib.ExitStack, ended: threading.Event) -> None:
    """Starts a Ray in `folder`, if need be a second time: on a busy machine, it finds what the first one has read.

    A thread of `threads` lives as long as Ray does: Linux ends what a thread has started with it (PR_SET_PDEATHSIG).
    """
    for attempt in (1, 2):
        thread = ThreadPoolExecutor(1, "ray")
        try:
            thread.submit(
                _init,
                address="local",  # whatever RAY_ADDRESS says
                num_cpus=cores_here(),
                include_dashboard=False,
                _temp_dir=str(folder / str(attempt)),
                runtime_env={"env_vars": {**ENVIRONMENT, **_paths()}},
            ).result()
        except Exception as error:
            with contextlib.suppress(Exception):
                ray.shutdown()
            thread.shutdown()
            if attempt == 2 or ended.is_set():
                lines = str(error).strip().splitlines() or [type(error).__name__]
                raise StoppedError(f"Ray did not start, twice ({lines[-1][:300].rstrip('.')}); {SERIAL}") from error
        else:
            threads.callback(thread.shutdown)
            return


def _temporary() -> contextlib.AbstractContextManager[Path]:
    """A folder for Ray, which never cleans its own, and makes it everybody's: hence the closed one around it.

    It is where temporary files go or, where that makes its sockets' paths too long, elsewhere.
    """
    if parent := short_parent(SHORT):
        return own_folder(parent, "ray-")
    raise StoppedError(
        f"Ray cannot start: the path of the temporary folder, {tempfile.gettempdir()}, has more than the {SHORT} bytes "
        f"that leave room for its sockets; TMPDIR names a shorter one, and {SERIAL}"
    )


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """The environment of a Ray of our own: all that connect to it, from wherever, need a secret that is new each time.

    Ray listens on every interface, and runs whatever code it is given.  Its processes and workers inherit the secret.
    """
    _check_loopback()
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if not Path(getattr(ray, "__cached__", None) or "/nowhere").exists():
        # Compiling Ray anew in each of its processes takes longer than it waits for them.
        ours |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    before = {name: os.environ.get(name) for name in ours}
    try:
        _set(ours)
        yield
    finally:
        _set(before)


def _set(environment: Mapping[str, str | None]) -> None:
    """Sets these variables, or removes them, and has Ray read them: it does so but once."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _check_loopback() -> None:
    """Raises StoppedError where this machine cannot reach itself: Ray would try for minutes."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        raise StoppedError(
            f"Ray cannot start: this machine cannot reach itself at 127.0.0.1 ({error.strerror or error}); {SERIAL}"
        ) from None


def _init(**options: Any) -> None:
    ray._private.worker._worker_logs_enabled = False  # what Ray says of a lost worker, its record says too
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _paths() -> dict[str, str]:
    """Workers import what this process can: also when it was started from the repository's folder."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def node_here() -> str:
    """The machine of this process, as Ray names it."""
    return str(ray.get_runtime_context().get_node_id())


def end(node: str, process: int, *, home: str) -> None:
    """Kills a worker, which may be stopped or deaf to Ray."""

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    if node == home:
        kill()
    else:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        ray.remote(kill).options(num_cpus=0, scheduling_strategy=there).remote()


def look(*, far: bool = False) -> None:
    """Raises BrokenRayError where a process that Ray cannot do without is gone: of our own, or `far`, of a cluster."""
    node: Any = ray._private.worker._global_node
    for kind in ("gcs_server", "raylet"):
        for process in node.all_processes.get(kind, ()) if node else ():
            if process.process.poll() is not None:
                raise _broken(f"Ray's process {kind} has ended ({_ending(process.process.returncode)})")
    if far and node and not node.all_processes:
        _look_far()
        if not any(one["NodeID"] == node_here() and one["Alive"] for one in ray.nodes()):
            raise _broken("the Ray cluster has lost this machine")


def _look_far() -> None:
    """Raises BrokenRayError where the head of a cluster that was joined does not answer."""
    node: Any = ray._private.worker._global_node
    if node is None or node.all_processes:
        return
    host, _, port = node.gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK).close()
    except OSError as error:
        raise _broken(f"the head of the Ray cluster is gone ({error.strerror or error})") from None


def _broken(reason: str) -> BrokenRayError:
    """The error.  What Tune has booked is not given back when its objects are collected: that would wait for a minute
    for what has gone, and then end this process.
    """
    PlacementGroupResourceManager.__del__ = lambda self: None  # type: ignore[method-assign]
    return BrokenRayError(reason)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
