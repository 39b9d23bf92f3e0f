"""Ten lines that make a sound: rain, and a shot, through the default device."""

import time

import diegetic

with diegetic.Session(seed=0) as session:
    session.set_prompt("heavy rain on a tin roof")
    session.play()
    time.sleep(5)
    session.post_event("gunshot")
    time.sleep(5)
