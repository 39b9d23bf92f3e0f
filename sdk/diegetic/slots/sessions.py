"""Sessions that share what makes their chunks, made as engines come."""

from collections.abc import Callable
from typing import Any

from diegetic.session import Session
from diegetic.slots.service import SlotGenerator, SlotService
from diegetic.snapshot import Conditioning, Snapshot

Conditioner = Callable[[Snapshot], Conditioning]


class SharedSessions:
    """Makes sessions on `service`, and lets them go; the encoders are warm from the start.

    Args:
        service: makes the chunks; it runs.
        make_conditioner: makes one for one session, which remembers what that session shows.
        seed: of every session.
    """

    def __init__(
        self,
        service: SlotService[Any],
        make_conditioner: Callable[[], Conditioner],
        seed: int = 0,
    ) -> None:
        self._service = service
        self._seed = seed
        self._make_conditioner = make_conditioner
        self._generators: dict[Session, SlotGenerator[Any]] = {}
        make_conditioner()(Snapshot(0.0, service.engine.config.hop, prompt="silence"))

    def make(self) -> Session:
        """A session that is let in.

        Raises:
            AdmissionError: it would make chunks late, or there is no room.
        """
        generator = self._service.join(seed=self._seed)
        session = Session(
            generator.config,
            seed=self._seed,
            generator=generator,
            conditioner=self._make_conditioner(),
            warm=True,
        )
        self._generators[session] = generator
        return session

    def let_go(self, session: Session) -> None:
        """Let another session in for `session`, which is over."""
        self._generators.pop(session).close()
