"""Running plays over hosts: strategy, per-host work, events, run records, rollback."""
