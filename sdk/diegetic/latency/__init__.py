"""Knob to ear, measured from outside: when does the sound differ from one without the change?

    game process   Client --send, noted--.            the same clock: monotonic, of the machine
                                         v
    this process   Server: session --> sink --> recording |-- as its twin --|-- differs ...
                   twin: the same session, offline, without the change      ^ left the device at

The session's own metric trusts what the session believes; this one believes the recording. The two
are shown side by side. `diegetic.latency.trial.measure` does it all.
"""
