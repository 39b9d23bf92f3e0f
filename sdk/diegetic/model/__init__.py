"""The networks, in torch: needed to train and to run on a GPU, never by the base install."""
