"""How a live stream is doing, in two lines that stay where they are."""

from rich.console import Group, RenderableType
from rich.text import Text

from diegetic.server import ServerStatus

DIM, GOOD, BAD = "bright_black", "green", "bold red"


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


def _figure(line: Text, label: str, value: str, *, good: bool | None = None) -> None:
    style = "bold" if good is None else GOOD if good else BAD
    line.append(f"{label} ", style=DIM).append(f"{value}   ", style=style)
