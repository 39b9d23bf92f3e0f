"""What runs many jobs at once: processes of this machine, or Ray on one machine or many.

A job is a function of a module and its argument a value that can be pickled; what it makes it
writes to a file, so that little travels.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from diegetic.errors import DiegeticError

T = TypeVar("T")
R = TypeVar("R")


class WorkerLostError(DiegeticError):
    """A process died in the middle of a job: killed, out of memory, or crashed."""


class Engine(Protocol):
    """Runs jobs in other processes."""

    def map(self, job: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield `job(item)` of each item, as they get done, in any order.

        Raises:
            WorkerLostError: a process died. What `job` itself raises is raised here as well.
        """
        ...


class Processes:
    """Plain processes of this machine."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, job: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """As `Engine.map`."""
        if not items:
            return
        workers = min(self._workers, len(items))
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(job, item) for item in items]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            except BrokenProcessPool as error:
                raise WorkerLostError(
                    "a worker process died; was there too little memory for all of them?"
                ) from error
            finally:
                for future in waiting:
                    future.cancel()


class Ray:
    """Ray (https://ray.io): on this machine, or on the cluster that RAY_ADDRESS names.

    Machines of a cluster must share the folders that jobs read and write.
    """

    def __init__(self, workers: int) -> None:
        """`workers` is how many jobs run at once here; on a cluster its CPUs decide."""
        try:
            import ray
        except ImportError as error:
            raise DiegeticError("engine ray needs Ray: pip install 'diegetic[ray]'") from error
        self._ray: Any = ray
        self._workers = workers

    def map(self, job: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """As `Engine.map`."""
        ray = self._ray
        here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": self._workers}
        try:
            ray.init(log_to_driver=False, **here)
        except Exception as error:  # Ray raises plain ones: no cluster, no answer in time
            raise DiegeticError(f"Ray does not start: {error}") from error
        try:
            task = ray.remote(job)
            waiting = [task.remote(item) for item in items]
            while waiting:
                done, waiting = ray.wait(waiting)
                yield ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise WorkerLostError(f"a Ray worker was lost: {error}") from error
        finally:
            ray.shutdown()


ENGINES: dict[str, Callable[[int], Engine]] = {"processes": Processes, "ray": Ray}


def open_engine(name: str, workers: int) -> Engine:
    """The engine of that name, for so many jobs at once.

    Raises:
        DiegeticError: there is none of that name, or its package is not installed.
    """
    if name not in ENGINES:
        raise DiegeticError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    return ENGINES[name](workers)
