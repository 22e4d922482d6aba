"""Starts a Ray on this machine that needs a token, or joins a cluster, and watches whether it is still alive.

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
from ray._private.node import Node
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ablations.core.errors import InputError, StoppedError, answered
from ablations.core.machine import cores_here, slots
from ablations.execution.allocator import ENVIRONMENT
from ablations.records.leftovers import RAY, own_folder, short_parent

LOOK = 10.0  # seconds between two checks that a cluster is still there, and that its head has to answer
SHORT = 28  # most bytes of a folder's path with which those of Ray's sockets fit into the 104 or 108 that are allowed
PATIENCE = 20.0  # seconds that the driver has to end by itself once Ray is lost; Ray would end it after 60
GOES_ON = "the same command goes on where it was"
SERIAL = "--executor serial runs without Ray"


class BrokenRayError(BaseException):
    """Ray has lost a process that it needs.

    This is no Exception, since Tune would catch one and then wait a minute for Ray to clean up.
    """


@contextlib.contextmanager
def joined(address: str, *, wait_for: Mapping[str, float] | None = None) -> Iterator[list[dict[str, float]]]:
    """Joins the Ray cluster at `address` for as long as the context lasts, and yields `machines()`.

    With `wait_for`, which names amounts of "CPU" and "GPU", it first waits until a machine has so much: an autoscaling
    cluster starts machines only when they are asked for.  Raises InputError if the cluster cannot be joined.
    """
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _init(address=address, runtime_env={"env_vars": dict(ENVIRONMENT)})
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        lines = str(error.__cause__ or error).strip().splitlines()  # text of a traceback; its last line is the reason
        said = lines[-1][:200].rstrip(".") if lines else type(error).__name__
        hint = "" if "RAY_AUTH_MODE" in os.environ else "; one that asks for a token needs RAY_AUTH_MODE=token here too"
        raise InputError(f"no Ray cluster can be joined at --ray-address {address} ({said}){hint}.") from error
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's handler would end this process without a message
    try:
        if wait_for and not any(slots(one, wait_for["CPU"], wait_for["GPU"]) for one in machines()):
            _come(wait_for)
        yield machines()
    finally:
        ray.shutdown()


def machines() -> list[dict[str, float]]:
    """Returns the resources, "CPU" and "GPU" among them, of each machine that is in Ray's cluster now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _come(wanted: Mapping[str, float]) -> None:
    """Waits until a machine has the resources `wanted`.  It asks for them with an empty task, as a trial would."""
    print(
        f"waiting   for the cluster to start a machine with {wanted['CPU']:g} processors and {wanted['GPU']:g} GPUs; "
        "Ctrl-C stops",
        flush=True,
    )
    asked = ray.remote(lambda: None).options(num_cpus=wanted["CPU"], num_gpus=wanted["GPU"]).remote()
    while not ray.wait([asked], timeout=1.0)[0]:  # one second at a time, so that Ctrl-C is noticed
        pass
    ray.get(asked)


@contextlib.contextmanager
def started() -> Iterator[Callable[[], object]]:
    """Starts a Ray on this machine for as long as the context lasts, with a token and a temporary folder of its own.

    Ray starts in a thread, since starting is mostly waiting for processes.  The context yields a function that waits
    until Ray is up, and raises StoppedError if it does not start.  If this process is connected to a Ray already, that
    one is used: a study keeps one Ray over all rounds of tuning and all looks.
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
    """Watches Ray in a thread once `begun` returns true, and calls `then` at the end of the context.

    A call of Ray that needs a lost process never returns, not even on Ctrl-C; after a minute Ray ends the driver with
    messages of its own.  So the thread ends the driver `PATIENCE` seconds after Ray was lost, with one sentence.  All
    results that the driver has by then are on disk.
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
    """Ends this process with one sentence, after killing the processes that are left of a Ray that it started."""
    node: Any = ray._private.worker._global_node
    for processes in list(node.all_processes.values()) if node else ():
        for one in processes:
            with contextlib.suppress(OSError):
                one.process.kill()

    def stopped() -> int:
        raise StoppedError(f"{error}; {GOES_ON}")

    os._exit(answered(stopped))


def _start(folder: Path, threads: contextlib.ExitStack, ended: threading.Event) -> None:
    """Starts a Ray in `folder`; tries twice, since the second start on a busy machine finds its files in memory.

    The thread that starts Ray is kept alive by `threads` until Ray is shut down: Linux kills the processes that a
    thread has started when the thread ends (PR_SET_PDEATHSIG).  Raises StoppedError if both tries fail.
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
    """Makes a temporary folder for Ray, which this user alone can read and which is removed at the end.

    Ray never removes its own folder, and lets every user write in it.  The folder lies among the temporary files, or
    elsewhere if the paths of Ray's sockets would be too long there.  Raises StoppedError if no place is short enough.
    """
    if parent := short_parent(SHORT):
        return own_folder(parent, RAY)
    raise StoppedError(
        f"Ray cannot start: the path of the temporary folder, {tempfile.gettempdir()}, has more than the {SHORT} bytes "
        f"that leave room for its sockets; TMPDIR names a shorter one, and {SERIAL}"
    )


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Sets the environment of a Ray that is started here: whoever connects to it needs a token, which is new each time.

    Ray listens on every network interface and runs any code that it is sent.  Its processes inherit the token.
    """
    _check_loopback()
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if not Path(getattr(ray, "__cached__", None) or "/nowhere").exists():
        # Without bytecode files, each process of Ray would compile it, which takes longer than Ray waits for them.
        ours |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    before = {name: os.environ.get(name) for name in ours}
    try:
        _set(ours)
        yield
    finally:
        _set(before)


def _set(environment: Mapping[str, str | None]) -> None:
    """Sets these variables, or removes those that are None, and makes Ray read them again, which it does only once."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _check_loopback() -> None:
    """Raises StoppedError if this machine cannot connect to itself, which Ray would try for minutes."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        raise StoppedError(
            f"Ray cannot start: this machine cannot reach itself at 127.0.0.1 ({error.strerror or error}); {SERIAL}"
        ) from None


def _init(**options: Any) -> None:
    ray._private.worker._worker_logs_enabled = False  # the record of a lost trial holds the reason already
    # Ray has no logs to follow then, and a Ray on one machine does not grow.  The two processes for that would take two
    # seconds of a processor when a Ray starts, and 3% of a processor for as long as it runs.
    Node.start_log_monitor = Node.start_monitor = lambda self: None  # type: ignore[method-assign]
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _paths() -> dict[str, str]:
    """Returns the environment in which workers can import the same modules as this process."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def node_here() -> str:
    """Returns Ray's id of the machine that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def end(node: str, process: int, *, home: str) -> None:
    """Kills the worker `process` on the machine `node` by a signal, since a worker that hangs does not answer Ray.

    `home` is the machine that this process runs on.
    """

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    if node == home:
        kill()
    else:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        ray.remote(kill).options(num_cpus=0, scheduling_strategy=there).remote()


def look(*, far: bool = False) -> None:
    """Raises BrokenRayError if a process that Ray needs has ended.

    This looks at a Ray that was started here, and with `far` also at a cluster that was joined, which takes longer.
    """
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
    """Raises BrokenRayError if this process has joined a cluster whose head does not answer."""
    node: Any = ray._private.worker._global_node
    if node is None or node.all_processes:
        return
    host, _, port = node.gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK).close()
    except OSError as error:
        raise _broken(f"the head of the Ray cluster is gone ({error.strerror or error})") from None


def _broken(reason: str) -> BrokenRayError:
    """Returns the error, and keeps Tune from giving its resources back when its objects are collected.

    That would wait a minute for the lost process, and then end this one.
    """
    PlacementGroupResourceManager.__del__ = lambda self: None  # type: ignore[method-assign]
    return BrokenRayError(reason)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
