"""A lab of real Debian hosts on this machine: what tests, demos and benchmarks run against."""

from wxops.lab.host import OPS_PASSWORD
from wxops.lab.lab import Lab

__all__ = ["OPS_PASSWORD", "Lab"]
