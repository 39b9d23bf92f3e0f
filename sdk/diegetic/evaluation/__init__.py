"""`diegetic eval`: render, judge, and say in a table what was reached and what was not.

    weights --generator--> sounds --an independent listener--> figures --> table, plots

Each entry of the table is a function in `entries` that takes a `Bench` and returns frozen rows.
Nothing of the runtime imports this package; it needs the `judge` extra.
"""

NAMES = (
    "codec",
    "prompts",
    "v0",
    "data",
    "fad",
    "onsets",
    "gap",
    "empty",
    "copying",
    "tasks",
    "student",
    "drift",
    "switch",
)
