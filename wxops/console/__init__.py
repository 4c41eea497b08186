"""How a run is shown: lines for people, JSON lines for programs."""
