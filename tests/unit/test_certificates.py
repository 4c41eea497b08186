"""Requests and certificates: made once, made anew when something differs, and taken by openssl itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from wxops.agent.certificate import moment
from wxops.agent.change import Change, View
from wxops.agent.failure import ModuleFailure
from wxops.agent.journal import Journal
from wxops.agent.modules.openssl_csr import openssl_csr
from wxops.agent.modules.openssl_privatekey import openssl_privatekey
from wxops.agent.modules.x509_certificate import x509_certificate

SITE = {
    "common_name": "a.example", "organizational_unit_name": "ops, inc. $x #1", "subject": {"O": ["x", "中文"]},
    "subject_alt_name": ["DNS:a.example", "IP:10.0.0.1"], "extended_key_usage": ["serverAuth"],
    "key_usage": ["digitalSignature"], "key_usage_critical": True, "ocsp_must_staple": True,
    "crl_distribution_points": [{"full_name": ["URI:http://x/crl"], "reasons": ["superseded"]}],
}  # fmt: skip
AUTHORITY = {"common_name": "CA", "basic_constraints": ["CA:TRUE"], "key_usage": ["keyCertSign"],
             "use_common_name_for_san": False, "create_subject_key_identifier": True}  # fmt: skip


class Folder:
    """A directory with keys `ca` and `site`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("ca", "site"):
            openssl_privatekey(self.change(), self.at(f"{name}.key"), type="ECC", curve="secp256r1")

    def at(self, name: str) -> str:
        return str(self.path / name)

    def change(self, check: bool = False) -> Change:
        return Change(View(), Journal("run", root=self.at("journal")), check=check)

    def request(self, name: str = "site", **asked: Any) -> tuple[dict[str, Any], Change]:
        change = self.change()
        return openssl_csr(change, self.at(f"{name}.csr"), privatekey_path=self.at(f"{name}.key"), **asked), change

    def certificate(self, name: str = "site", check: bool = False, **asked: Any) -> tuple[dict[str, Any], Change]:
        change = self.change(check)
        return x509_certificate(change, self.at(f"{name}.pem"), csr_path=self.at(f"{name}.csr"), **asked), change

    def signed(self, **asked: Any) -> tuple[dict[str, Any], Change]:
        return self.certificate(
            provider="ownca", ownca_path=self.at("ca.pem"), ownca_privatekey_path=self.at("ca.key"), **asked
        )

    def text(self, name: str) -> str:
        kind = "req" if name.endswith("csr") else "x509"
        argv = ["openssl", kind, "-in", self.at(name), "-noout", "-text", "-nameopt", "utf8"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.request("ca", **AUTHORITY)
    made.certificate("ca", provider="selfsigned", privatekey_path=made.at("ca.key"))
    made.request(**SITE)
    return made


def test_a_request_says_what_was_asked_for_and_is_made_once(folder: Folder) -> None:
    text = folder.text("site.csr")
    for part in ("ops, inc. $x #1", "中文", "DNS:a.example, IP Address:10.0.0.1", "X509v3 Key Usage: critical",
                 "status_request", "URI:http://x/crl", "Superseded"):  # fmt: skip
        assert part in text
    result, change = folder.request(**SITE)
    assert not change.changed
    assert result["subject"] == [["OU", "ops, inc. $x #1"], ["CN", "a.example"], ["O", "x"], ["O", "中文"]]
    assert result["subjectAltName"] == SITE["subject_alt_name"]


@pytest.mark.parametrize(
    "other",
    [{"common_name": "b.example"}, {"subject_alt_name": ["DNS:b"]}, {"key_usage_critical": False},
     {"basic_constraints": ["CA:FALSE"]}, {"force": True}],
)  # fmt: skip
def test_a_request_that_differs_is_made_anew(folder: Folder, other: dict[str, Any]) -> None:
    assert folder.request(**{**SITE, **other})[1].changed


def test_the_order_of_names_makes_no_other_request(folder: Folder) -> None:
    assert not folder.request(**{**SITE, "subject_alt_name": ["IP:10.0.0.1", "DNS:a.example"]})[1].changed


def test_another_key_makes_another_request(folder: Folder) -> None:
    openssl_privatekey(folder.change(), folder.at("site.key"), type="Ed25519")
    assert folder.request(**SITE)[1].changed


def test_the_common_name_is_a_name_that_the_certificate_is_for(folder: Folder) -> None:
    assert folder.request(common_name="a.example")[0]["subjectAltName"] == ["DNS:a.example"]
    assert folder.request(common_name="a", use_common_name_for_san=False)[0]["subjectAltName"] is None


@pytest.mark.parametrize(
    "wrong",
    [{"subject_alt_name": ["a.example"]}, {"common_name": "a\nb"}, {"subject": {}, "subject_ordered": []},
     {"crl_distribution_points": [{"relative_name": ["x"]}]}],
)  # fmt: skip
def test_what_no_request_can_say_is_refused(folder: Folder, wrong: dict[str, Any]) -> None:
    with pytest.raises(ModuleFailure):
        folder.request(**wrong)


def test_a_ca_signs_what_openssl_trusts(folder: Folder) -> None:
    result, change = folder.signed(ownca_not_after="+30d")
    assert change.changed and "DNS:a.example" in change.diffs[0]["after"]
    argv = ["openssl", "verify", "-CAfile", folder.at("ca.pem"), folder.at("site.pem")]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
    assert "status_request" in folder.text("site.pem")
    again, second = folder.signed(ownca_not_after="+30d")
    assert not second.changed
    assert again["serial_number"] == result["serial_number"] and again["notAfter"] > again["notBefore"]


def test_a_certificate_is_made_anew_for_another_request_and_by_another_signer(folder: Folder) -> None:
    folder.signed()
    folder.request(**{**SITE, "common_name": "b.example"})
    assert folder.signed()[1].changed
    openssl_privatekey(folder.change(), folder.at("ca.key"), type="ECC", curve="secp384r1")
    folder.request("ca", **AUTHORITY)
    folder.certificate("ca", provider="selfsigned", privatekey_path=folder.at("ca.key"))
    assert folder.signed()[1].changed


def test_a_check_writes_nothing_and_says_the_same(folder: Folder) -> None:
    asked = {"provider": "selfsigned", "privatekey_path": folder.at("site.key")}
    assert folder.certificate(check=True, **asked)[1].changed
    assert not Path(folder.at("site.pem")).exists()
    assert folder.certificate(**asked)[1].changed
    assert not folder.certificate(check=True, **asked)[1].changed


def test_one_that_is_over_is_warned_of_and_stays(folder: Folder) -> None:
    asked = {"provider": "selfsigned", "privatekey_path": folder.at("site.key"), "selfsigned_not_before": "-9d",
             "selfsigned_not_after": "-1d"}  # fmt: skip
    folder.certificate(**asked)
    _, change = folder.certificate(**asked)
    assert not change.changed and "ended at" in change.warnings[0]


def test_a_validity_counts_when_it_is_to(folder: Folder) -> None:
    asked = {"provider": "selfsigned", "privatekey_path": folder.at("site.key"), "ignore_timestamps": False,
             "selfsigned_not_before": "20260101000000Z", "selfsigned_not_after": "20400101000000Z"}  # fmt: skip
    folder.certificate(**asked)
    assert not folder.certificate(**asked)[1].changed
    assert folder.certificate(**{**asked, "selfsigned_not_after": "20410101000000Z"})[1].changed


@pytest.mark.parametrize(("text", "seconds"), [("+1d", 86400), ("-1w2h", -612000), ("+90", 90), ("+1m30s", 90)])
def test_a_moment_may_be_relative(text: str, seconds: int) -> None:
    now = 1_800_000_000
    assert moment(text, "not_after", now) == time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + seconds))


@pytest.mark.parametrize("text", ["tomorrow", "+", "2030", "1d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ModuleFailure, match="not a moment"):
        moment(text, "not_after", 0)
