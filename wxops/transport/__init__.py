"""Reaching a host: SSH or local, sudo on the way, and the framed channel to the agent."""

from wxops.transport.later import load_when_used

load_when_used("invoke")  # before the first of the files here imports paramiko: 40 ms of every command
