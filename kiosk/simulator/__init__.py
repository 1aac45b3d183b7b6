"""The physical world at the far ends of the bin's wires: a process of its own that shares no parser with the daemon."""
