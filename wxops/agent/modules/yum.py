"""The older name of `dnf`."""

from wxops.agent.modules.dnf import ALIASES, dnf

__all__ = ["ALIASES", "yum"]

yum = dnf
