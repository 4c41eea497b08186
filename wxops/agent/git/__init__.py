"""Checkouts of git repositories: asked and changed by git's own commands, and taken back to the byte."""
