"""A game to listen to: ViZDoom plays itself in a process of its own and speaks over the bridge.

game.py (process)   ViZDoom → bot → terrain, scene → diegetic_bridge.Client
show.py             Server, status line, and what is left: stream.wav, timeline.png, report.json
"""
