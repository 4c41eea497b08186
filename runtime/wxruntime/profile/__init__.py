"""Profiles of engines: one YAML file says what serves which model and how; everything else follows from it."""
