"""Whose turn it is: earliest deadline first, and nobody let in who would make others late.

    due       a: 40 ms   b: 55 ms   c: 55 ms (nfe 2)   d: too late to be met
    batch     [a, b] + d rides along where a row would be computed anyway

Pure bookkeeping on the caller's clock: no thread, no wait, no device. One thread owns it.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from diegetic.errors import DiegeticError

KEPT = 512  # costs of a bucket that are remembered
QUANTILE = 0.99


class AdmissionError(DiegeticError):
    """One more session would make chunks late."""


@dataclass(frozen=True)
class Due:
    """A chunk that `session` wants by `deadline` (s, on the caller's clock)."""

    session: str
    deadline: float


class Costs:
    """How long a batch takes, by NFE and rows, at the 99th percentile.

    Args:
        measured: seconds by (nfe, rows), from the warm-up. Each NFE needs one at least.
    """

    def __init__(self, measured: Mapping[tuple[int, int], float]) -> None:
        self._seen: dict[tuple[int, int], deque[float]] = {}
        self._slow: dict[tuple[int, int], float] = {}  # the quantile, until something is added
        for (nfe, rows), seconds in measured.items():
            self.add(nfe, rows, seconds)

    def add(self, nfe: int, rows: int, seconds: float) -> None:
        """Note what a batch took; the newest KEPT count."""
        self._seen.setdefault((nfe, rows), deque(maxlen=KEPT)).append(seconds)
        self._slow.pop((nfe, rows), None)

    def of(self, nfe: int, sessions: int) -> float:
        """Return what a batch of so many takes (s): that of the next larger one that was measured.

        What is larger than all that was measured takes as much longer as it is larger.

        Raises:
            DiegeticError: nothing was measured with this `nfe`.
        """
        known = [rows for have, rows in self._seen if have == nfe]
        if not known:
            raise DiegeticError(f"nothing was measured with nfe {nfe}")
        rows = min((rows for rows in known if rows >= sessions), default=max(known))
        if (nfe, rows) not in self._slow:
            seen = self._seen[nfe, rows]
            self._slow[nfe, rows] = float(np.quantile(seen, QUANTILE, method="higher"))
        return self._slow[nfe, rows] * max(1.0, sessions / rows)

    def rows(self, nfe: int, sessions: int) -> int:
        """Return how many sessions take as long as so many: the rest of the rows is free."""
        known = (rows for have, rows in self._seen if have == nfe and rows >= sessions)
        return min(known, default=sessions)


@dataclass(frozen=True)
class _Member:
    nfe: int
    hop: float


class Batcher:
    """Sessions that come and go, and the chunks that they want.

    Args:
        costs: what batches take; the caller goes on adding to it.
        most: sessions at a time.
    """

    def __init__(self, costs: Costs, most: int) -> None:
        self._costs = costs
        self._most = most
        self._members: dict[str, _Member] = {}
        self._due: dict[str, float] = {}

    @property
    def sessions(self) -> int:
        return len(self._members)

    def join(self, session: str, *, nfe: int, hop: float) -> None:
        """Let `session` in, which will want a chunk every `hop` seconds.

        Raises:
            AdmissionError: there is no slot, or chunks would be late at the 99th percentile if
                everybody wanted one at once.
            DiegeticError: it is in already, `hop` is not positive, or `nfe` was not measured.
        """
        if session in self._members:
            raise DiegeticError(f"session {session!r} is in already")
        if not 0 < hop < math.inf:
            raise DiegeticError(f"hop must be positive and finite, got {hop!r} s")
        if len(self._members) >= self._most:
            raise AdmissionError(f"no room for another session: all {self._most} slots are taken")
        joined = {**self._members, session: _Member(nfe, hop)}
        counts: dict[int, int] = {}
        for member in joined.values():
            counts[member.nfe] = counts.get(member.nfe, 0) + 1
        needed = sum(self._costs.of(count, sessions) for count, sessions in counts.items())
        shortest = min(member.hop for member in joined.values())
        if needed > shortest:
            raise AdmissionError(
                f"no room for another session: {len(joined)} chunks would take "
                f"{needed * 1000:.0f} ms (p99), and must take no more than {shortest * 1000:.0f} ms"
            )
        self._members = joined

    def leave(self, session: str) -> None:
        """Forget `session` and what it wanted; that it is not in does not matter."""
        self._members.pop(session, None)
        self._due.pop(session, None)

    def want(self, session: str, deadline: float) -> None:
        """Note that `session` wants its next chunk by `deadline`; the newest word counts.

        Raises:
            DiegeticError: it was not let in, or `deadline` is not a time.
        """
        if session not in self._members:
            raise DiegeticError(f"session {session!r} was not let in")
        if not math.isfinite(deadline):
            raise DiegeticError(f"deadline must be a finite time in seconds, got {deadline!r}")
        self._due[session] = deadline

    def next_batch(self, now: float) -> list[Due]:
        """Take the chunks to be made next out of what is wanted; all have the same NFE.

        The earliest deadline that can still be met comes first, others of its NFE join in their
        order as long as the longer batch makes nobody late who would not be late without them,
        neither in it nor among those that wait for another one. Deadlines that can no more be met
        come last: where everybody else is served, or where their row is computed anyway.
        """
        met: list[Due] = []
        missed: list[Due] = []
        for due in self._ordered():
            alone = self._costs.of(self._nfe(due), 1)
            (met if now + alone <= due.deadline else missed).append(due)
        if not met:
            batch = [due for due in missed if self._nfe(due) == self._nfe(missed[0])]
        else:
            batch = self._fill(met, now)
            free = self._costs.rows(self._nfe(met[0]), len(batch)) - len(batch)
            riders = [due for due in missed if self._nfe(due) == self._nfe(met[0])]
            batch += riders[:free]
        for due in batch:
            del self._due[due.session]
        return batch

    def _fill(self, met: list[Due], now: float) -> list[Due]:
        """The first of `met`, and those that may go with it."""
        first = met[0]
        nfe = self._nfe(first)
        batch, others = [first], [due for due in met if self._nfe(due) != nfe]
        latest = first.deadline - now
        if others:
            # The next batch is theirs; it must not begin too late if it need not.
            slack = others[0].deadline - now - self._costs.of(self._nfe(others[0]), 1)
            if slack >= self._costs.of(nfe, 1):
                latest = min(latest, slack)
        for due in met[1:]:
            if self._nfe(due) == nfe and self._costs.of(nfe, len(batch) + 1) <= latest:
                batch.append(due)
        return batch

    def _ordered(self) -> list[Due]:
        pairs = sorted(self._due.items(), key=lambda pair: pair[1])
        return [Due(session, deadline) for session, deadline in pairs]

    def _nfe(self, due: Due) -> int:
        return self._members[due.session].nfe
