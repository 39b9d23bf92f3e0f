"""Make in threads what comes next, while what is there is used: no GPU waits for the disk."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key")
Made = TypeVar("Made")

WORKERS = 4


def ahead(
    make: Callable[[Key], Made], keys: Iterable[Key], workers: int = WORKERS
) -> Generator[Made, None, None]:
    """`make(key)` for every one of `keys`, in their order, two a worker made beforehand.

    `make` must depend on its key alone. What it raises is raised where its value is taken. Closing
    the generator waits for what has been begun and drops the rest.
    """
    coming = iter(keys)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    try:
        waiting = deque(pool.submit(make, key) for key in islice(coming, 2 * workers))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, key) for key in islice(coming, 1))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)
