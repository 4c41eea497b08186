"""Reaching a host: SSH or local, sudo on the way, and the framed channel to the agent."""
