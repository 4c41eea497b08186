"""Whether a host's GPUs, drivers, toolkits, libraries and containers work together, and which one change mends it."""
