"""How the shipped weights are made: data, codec, transformer, export. Not needed to play."""
