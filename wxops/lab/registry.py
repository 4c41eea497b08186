"""The lab's image registry, on the bridge: hosts push and pull there as from any registry, over TLS.

Its certificate is laid where a Docker engine looks for one (/etc/docker/certs.d/ADDRESS/ca.crt), on every host and on
this machine. So a host's daemon.json stays free for what is tested, and needs no insecure-registries.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from wxops.errors import LabError
from wxops.lab.cgroup import Cgroup
from wxops.lab.command import run, succeeds
from wxops.lab.supervise import spawn

PORT = 5000
CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: "{folder}/data"}}
  delete: {{enabled: true}}
http:
  addr: "{address}"
  tls: {{certificate: "{folder}/registry.crt", key: "{folder}/registry.key"}}
"""


@dataclass(frozen=True)
class Registry:
    """A registry on `ip`, with its images and its certificate in `folder`."""

    ip: str
    folder: Path
    cgroup: Cgroup

    @property
    def address(self) -> str:
        return f"{self.ip}:{PORT}"

    @property
    def certificate(self) -> Path:
        return self.folder / "registry.crt"

    @property
    def trust(self) -> Path:
        """Where a Docker engine looks for the certificate, relative to a machine's root."""
        return Path("etc/docker/certs.d", self.address, "ca.crt")

    def up(self) -> None:
        """Start the registry unless it runs, and let this machine trust it."""
        if self.answers():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.certificate.exists():
            self._certify()
        config = self.folder / "config.yml"
        config.write_text(CONFIG.format(folder=self.folder, address=self.address))
        here = Path("/") / self.trust
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.certificate, here)
        log = self.folder / "registry.log"
        spawn(self.cgroup, ["docker-registry", "serve", str(config)], log)
        deadline = time.monotonic() + 20
        while not self.answers():
            if time.monotonic() > deadline or not self.cgroup.pids():
                last = log.read_text(errors="replace").splitlines()[-2:]
                raise LabError("The lab's image registry did not start: " + " / ".join(last), where=str(log))
            time.sleep(0.05)

    def _certify(self) -> None:
        name = ("-subj", "/CN=wxops lab registry", "-addext", f"subjectAltName=IP:{self.ip}")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        files = ("-keyout", str(self.folder / "registry.key"), "-out", str(self.certificate))
        run("openssl", "req", "-x509", "-nodes", "-days", "3650", *curve, *name, *files)

    def answers(self) -> bool:
        return self.certificate.exists() and succeeds(
            *("curl", "--silent", "--fail", "--max-time", "2", "--noproxy", "*"),
            *("--cacert", str(self.certificate), f"https://{self.address}/v2/"),
        )

    def down(self) -> None:
        """Stop the registry and take this machine's trust back; its images go with the lab's folder."""
        self.cgroup.kill()
        here = Path("/") / self.trust
        with contextlib.suppress(FileNotFoundError):
            if here.read_bytes() == self.certificate.read_bytes():  # another lab's registry may have the address now
                shutil.rmtree(here.parent)
