"""How live streams are doing, in lines that stay where they are."""

from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diegetic.desk import NEWEST, SessionStatus
from diegetic.server import ServerStatus

if TYPE_CHECKING:
    from diegetic.slots.service import SlotService

DIM, GOOD, BAD = "bright_black", "green", "bold red"


COLUMNS = ("game", "prompt", "RTF p95", "chunk p99", "knob to ear", "buffered", "underruns")


class Statuses(Protocol):
    """The part of a Server that is looked at."""

    def status(self) -> ServerStatus: ...

    def sessions(self) -> list[SessionStatus]: ...


def status_lines(status: ServerStatus, elapsed: float, note: str = "") -> RenderableType:
    """Return two lines for rich's Live: what is asked for, and how it is going."""
    head = Text(no_wrap=True, overflow="ellipsis")
    minutes, seconds = divmod(int(elapsed), 60)
    head.append(f"{minutes:02d}:{seconds:02d} ", style="bold")
    if status["playing"]:
        head.append(f"{status['engine'] or 'engine'}  ", style="cyan")
        head.append(status["prompt"] or "(silence)", style="italic")
    else:
        head.append("waiting for a game", style=DIM)
    if note:
        head.append(f"  {note}", style=DIM)
    figures = Text(no_wrap=True, overflow="ellipsis")
    _figure(figures, "RTF p95", f"{status['rtf_p95']:.2f}", good=status["rtf_p95"] < 1)
    _figure(figures, "knob to ear p50", f"{status['knob_to_ear_ms_p50']:.0f} ms")
    _figure(figures, "buffered", f"{status['buffered_ms']:.0f} ms")
    _figure(figures, "underruns", str(status["underruns"]), good=status["underruns"] == 0)
    _figure(figures, "frames", str(status["frames"]))
    _figure(figures, "events", str(status["events"]))
    if status["errors"]:
        _figure(figures, "errors", str(status["errors"]), good=False)
    if status["strangers"]:
        _figure(figures, "turned away", str(status["strangers"]), good=False)
    if status["bank_wanted"]:
        _figure(figures, "sounds ready", f"{status['bank_ready']}/{status['bank_wanted']}")
    return Group(head, figures)


def sessions_table(server: Statuses, service: "SlotService[Any]", elapsed: float) -> RenderableType:
    """Return a line per game, and one about the engine that they share."""
    sessions, counts = server.sessions(), server.status()
    minutes, seconds = divmod(int(elapsed), 60)
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{minutes:02d}:{seconds:02d} ", style="bold")
    head.append(f"{len(sessions)} of {service.engine.sessions} games", style="cyan")
    table = Table(box=None, header_style=DIM)
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for status in sessions:
        late = status["underruns"] > 0
        table.add_row(
            status["engine"] or "engine",
            Text(status["prompt"] or "(silence)", style="italic"),
            Text(f"{status['rtf_p95']:.2f}", style=GOOD if status["rtf_p95"] < 1 else BAD),
            f"{status['chunk_ms_p99']:.0f} ms",
            f"{status['knob_to_ear_ms_p50']:.0f} ms",
            f"{status['buffered_ms']:.0f} ms",
            Text(str(status["underruns"]), style=BAD if late else GOOD),
        )
    return Group(head, table, _engine_line(service, counts))


def _engine_line(service: "SlotService[Any]", counts: ServerStatus) -> Text:
    """The stages of the batches, and what did not go well."""
    line = Text(no_wrap=True, overflow="ellipsis")
    for stage, found in service.metrics.stages_ms(NEWEST).items():
        _figure(line, f"{stage} p99", f"{found['p99']:.1f} ms")
    made = service.metrics.counts()
    if made.get("batches"):
        _figure(line, "in a batch", f"{made['chunks'] / made['batches']:.1f}")
        late = made.get("chunks late", 0)
        _figure(line, "late", str(late), good=late == 0)
    for label, count in (
        ("errors", counts["errors"]),
        ("turned away", counts["strangers"]),
    ):
        if count:
            _figure(line, label, str(count), good=False)
    return line


def _figure(line: Text, label: str, value: str, *, good: bool | None = None) -> None:
    style = "bold" if good is None else GOOD if good else BAD
    line.append(f"{label} ", style=DIM).append(f"{value}   ", style=style)
