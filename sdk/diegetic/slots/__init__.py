"""Many sessions on one device: pages of state, one graph a chunk, earliest deadline first."""
