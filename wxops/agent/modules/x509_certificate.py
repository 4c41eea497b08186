"""Certificates, signed on the host by their own key or by a CA's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.certificate import Signer, is_over, moment, names_keys_itself, validity
from wxops.agent.failure import ModuleFailure
from wxops.agent.modules.openssl_csr import key_of
from wxops.agent.openssl import openssl, pass_in
from wxops.agent.public_file import put_public
from wxops.agent.secret_file import remove
from wxops.agent.x509_text import about

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {"selfsigned_notBefore": "selfsigned_not_before", "selfsigned_notAfter": "selfsigned_not_after",
           "attr": "attributes"}  # fmt: skip
SUBJECT_KEY, AUTHORITY_KEY = "X509v3 Subject Key Identifier", "X509v3 Authority Key Identifier"
NO_SUBJECT = b"[req]\nprompt = no\ndistinguished_name = subject\n[subject]\n"


def x509_certificate(
    change: Change,
    path: Path,
    provider: Optional[Literal["selfsigned", "ownca"]] = None,
    state: Literal["absent", "present"] = "present",
    csr_path: Optional[Path] = None,
    csr_content: Optional[str] = None,
    privatekey_path: Optional[Path] = None,
    privatekey_content: Optional[str] = None,
    privatekey_passphrase: Optional[str] = None,
    selfsigned_digest: str = "sha256",
    selfsigned_version: Literal[3] = 3,
    selfsigned_not_before: str = "+0s",
    selfsigned_not_after: str = "+3650d",
    selfsigned_create_subject_key_identifier: Literal[
        "create_if_not_provided", "never_create"
    ] = "create_if_not_provided",
    ownca_path: Optional[Path] = None,
    ownca_content: Optional[str] = None,
    ownca_privatekey_path: Optional[Path] = None,
    ownca_privatekey_content: Optional[str] = None,
    ownca_privatekey_passphrase: Optional[str] = None,
    ownca_digest: str = "sha256",
    ownca_version: Literal[3] = 3,
    ownca_not_before: str = "+0s",
    ownca_not_after: str = "+3650d",
    ownca_create_subject_key_identifier: Literal["create_if_not_provided", "never_create"] = "create_if_not_provided",
    ownca_create_authority_key_identifier: bool = True,
    ignore_timestamps: bool = True,
    force: bool = False,
    backup: bool = False,
    return_content: bool = False,
    select_crypto_backend: Literal["auto"] = "auto",
    mode: Optional[Mode] = None,
    owner: Optional[str] = None,
    group: Optional[str] = None,
    attributes: Optional[str] = None,
    seuser: Optional[str] = None,
    serole: Optional[str] = None,
    setype: Optional[str] = None,
    selevel: Optional[str] = None,
    unsafe_writes: bool = False,
) -> Dict[str, Any]:
    """Sign a certificate, unless there is one for the same request, key and signer. One that is over is warned of.

    path: the file.
    provider: selfsigned (by its own key) or ownca (by a CA whose key is on the host). There is no acme here.
    state: whether it is to be there.
    csr_path: the signing request's file on the host.
    csr_content: the request itself instead; a selfsigned certificate needs none, and has no subject then.
    privatekey_path: the certificate's key, which signs a selfsigned one.
    privatekey_content: the key itself instead.
    privatekey_passphrase: of the key.
    selfsigned_digest: of the signature.
    selfsigned_version: of the certificate.
    selfsigned_not_before: from when it is valid: 20301231235959Z, or relative to now, as -1d.
    selfsigned_not_after: until when, as +52w.
    selfsigned_create_subject_key_identifier: name the key by its digest when the request does not, or never.
    ownca_path: the CA's certificate on the host.
    ownca_content: the certificate itself instead.
    ownca_privatekey_path: the CA's key on the host.
    ownca_privatekey_content: the key itself instead.
    ownca_privatekey_passphrase: of the CA's key.
    ownca_digest: of the signature.
    ownca_version: of the certificate.
    ownca_not_before: from when it is valid.
    ownca_not_after: until when.
    ownca_create_subject_key_identifier: name the key by its digest when the request does not, or never.
    ownca_create_authority_key_identifier: name the CA's key.
    ignore_timestamps: one with another validity is right, too.
    force: make it anew even if it is right.
    backup: keep a copy of the one that is replaced, beside it.
    return_content: return it as `certificate`.
    select_crypto_backend: the host's openssl does it.
    mode: octal in quotes ("0644") or symbolic ("u=rw,g=r").
    owner: a user's name or number.
    group: a group's name or number.
    attributes: the flags of chattr(1), as letters after "+", "-" or "=".
    seuser: the user of the SELinux label.
    serole: the role of the SELinux label.
    setype: the type of the SELinux label; `_default` takes the policy's.
    selevel: the level of the SELinux label.
    unsafe_writes: taken for Ansible's sake; nothing is written that is not atomic.
    """
    if state == "absent":
        return {"filename": path, **remove(change, path, backup, secret=False)}
    if provider is None:
        raise ModuleFailure("state is present but all of the following are missing: provider")
    given = dict(locals())
    signer = _signer(change, given)
    request = _request(change, given, signer)
    now = change.read(path)
    begin, end = (
        moment(given["%s_not_%s" % (provider, when)], "not_" + when, time.time()) for when in ("before", "after")
    )
    made = signer.sign(request, begin, end, _extensions(given, request))
    stale = now is not None and _is_stale(now, signer, None if ignore_timestamps else (begin, end))
    attrs = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    result = put_public(change, path, made, "x509", attrs, force or stale, backup)
    valid = validity(change.read(path) or made)
    if is_over(valid["notAfter"], time.time()):
        change.warnings.append("%s ended at %s; `force: true` makes it anew" % (path, valid["notAfter"]))
    result.update(valid, filename=path, privatekey=privatekey_path, csr=csr_path)
    if provider == "ownca":
        result.update(ca_cert=ownca_path, ca_privatekey=ownca_privatekey_path)
    return dict(result, certificate=(change.read(path) or b"").decode()) if return_content else result


def _signer(change: Change, given: Dict[str, Any]) -> Signer:
    if given["provider"] == "selfsigned":
        key = key_of(change, given["privatekey_path"], given["privatekey_content"], "privatekey")
        return Signer(key, given["privatekey_passphrase"], None, given["selfsigned_digest"])
    key = key_of(change, given["ownca_privatekey_path"], given["ownca_privatekey_content"], "ownca_privatekey")
    certificate = _text_of(change, given["ownca_path"], given["ownca_content"], "ownca")
    if certificate is None:
        raise ModuleFailure("one of ownca_path and ownca_content is required")
    return Signer(key, given["ownca_privatekey_passphrase"], certificate, given["ownca_digest"])


def _request(change: Change, given: Dict[str, Any], signer: Signer) -> bytes:
    request = _text_of(change, given["csr_path"], given["csr_content"], "csr")
    if request is not None:
        return request
    if given["provider"] == "ownca":
        raise ModuleFailure("one of csr_path and csr_content is required")
    with openssl() as tool:
        return tool.call("req", "-new", "-config", tool.file(NO_SUBJECT), "-subj", "/", "-key", tool.file(signer.key),
                         *pass_in(signer.passphrase), passphrase=signer.passphrase)  # fmt: skip


def _text_of(change: Change, path: Optional[str], content: Optional[str], name: str) -> Optional[bytes]:
    if path is not None and content is not None:
        raise ModuleFailure("parameters are mutually exclusive: %s_path|%s_content" % (name, name))
    if path is None:
        return content.encode() if content is not None else None
    data = change.read(path)
    if data is None:
        raise ModuleFailure("the %s file %s does not exist" % (name, path))
    return data


def _extensions(given: Dict[str, Any], request: bytes) -> List[str]:
    """What the certificate has beyond what the request asks for."""
    provider, asked = given["provider"], about(request, "req")["extensions"]
    wanted = {
        "subjectKeyIdentifier": given[provider + "_create_subject_key_identifier"] != "never_create",
        "authorityKeyIdentifier": provider == "ownca" and given["ownca_create_authority_key_identifier"],
    }
    none = ["none"] if names_keys_itself() else []
    found = []
    for name, said, value in (
        ("subjectKeyIdentifier", SUBJECT_KEY, "hash"),
        ("authorityKeyIdentifier", AUTHORITY_KEY, "keyid"),
    ):
        if said not in asked:
            found += [name + " = " + each for each in ([value] if wanted[name] else none)]
    return found


def _is_stale(certificate: bytes, signer: Signer, times: Any) -> bool:
    """Is it somebody else's signature, or another validity than it must have?"""
    try:
        valid = validity(certificate)
    except ModuleFailure:
        return True
    return not signer.signed(certificate) or (times is not None and (valid["notBefore"], valid["notAfter"]) != times)
