"""`diegetic devices`: the audio outputs of this machine."""

import argparse

from rich.table import Table

from diegetic.cli import shared


def configure(parser: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""


def run(arguments: argparse.Namespace) -> int:
    """List them; `--device` of other commands takes the number or the name."""
    from diegetic.sink import list_devices

    devices = list_devices()
    if not devices:
        shared.console().print("no audio device; sound can be paced by the clock: --no-device")
        return 0
    table = Table(box=None, header_style="bold")
    for column in ("", "number", "name", "system", "channels", "rate"):
        table.add_column(column)
    for device in devices:
        table.add_row(
            "default" if device.default else "",
            str(device.index),
            device.name,
            device.host,
            str(device.channels),
            f"{device.rate:.0f} Hz",
        )
    shared.console().print(table)
    return 0
