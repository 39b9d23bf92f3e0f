"""`diegetic demo`: a game that plays itself, and what it sounds like."""

import argparse
from pathlib import Path
from typing import cast

from rich.live import Live

from diegetic.cli import shared


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from diegetic.demo.game import DEFAULT_MAP

    parser.add_argument("--seconds", type=shared.positive, default=60.0, help="how long (60)")
    parser.add_argument(
        "--out", type=Path, default=Path("diegetic-demo"), help="folder for what is left behind"
    )
    parser.add_argument("--map", default=DEFAULT_MAP, help=f"of Freedoom ({DEFAULT_MAP})")
    shared.add_output_arguments(parser)
    shared.add_session_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Play, then say what was left."""
    from diegetic.cli.status import status_lines
    from diegetic.demo import show
    from diegetic.output import choose_output

    console = shared.console()
    plan = show.doom(arguments.map, arguments.seconds, arguments.seed, arguments.out)
    output = choose_output(arguments.device, no_device=arguments.no_device)
    console.print(f"playing on: {output.description}")
    make_session = shared.session_factory(arguments)
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        report = show.run(
            plan,
            make_session,
            output,
            on_status=lambda status, elapsed: live.update(status_lines(status, elapsed)),
        )
    messages = cast(dict[str, int], report["messages"])
    console.print(
        f"{report['seconds']:.1f} s played · RTF p50 {report.get('rtf_p50', 0):.2f}, "
        f"p95 {report.get('rtf_p95', 0):.2f} · knob to ear p50 "
        f"{report.get('knob_to_ear_ms_p50', 0):.0f} ms · underruns {report['underruns']} · "
        f"{messages['frames']} frames, {messages['prompts']} prompts, {messages['events']} events"
    )
    for name in ("stream.wav", "timeline.png", "report.json"):
        console.print(f"  {arguments.out / name}")
    return 0
