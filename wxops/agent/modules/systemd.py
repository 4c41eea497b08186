"""The older name of `systemd_service`."""

from wxops.agent.modules.systemd_service import ALIASES, systemd_service

__all__ = ["ALIASES", "systemd"]

systemd = systemd_service
