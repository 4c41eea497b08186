"""The older name of `dnf`."""

from wxops.agent.modules.dnf import ALIASES, INSTEAD, dnf

__all__ = ["ALIASES", "INSTEAD", "yum"]

yum = dnf
