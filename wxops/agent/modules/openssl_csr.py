"""Certificate signing requests, made on the host by its openssl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wxops.agent.attributes import Attributes
from wxops.agent.failure import ModuleFailure
from wxops.agent.openssl import openssl, pass_in
from wxops.agent.public_file import put_public
from wxops.agent.secret_file import remove
from wxops.agent.signing_request import alt_names_of, configuration, subject_of

if TYPE_CHECKING:
    from typing import Any, Dict, List, Literal, Optional

    from wxops.agent.arguments import Mode, Path
    from wxops.agent.change import Change

ALIASES = {
    "C": "country_name", "countryName": "country_name", "ST": "state_or_province_name",
    "stateOrProvinceName": "state_or_province_name", "L": "locality_name", "localityName": "locality_name",
    "O": "organization_name", "organizationName": "organization_name", "OU": "organizational_unit_name",
    "organizationalUnitName": "organizational_unit_name", "CN": "common_name", "commonName": "common_name",
    "E": "email_address", "emailAddress": "email_address", "subjectAltName": "subject_alt_name",
    "subjectAltName_critical": "subject_alt_name_critical", "useCommonNameForSAN": "use_common_name_for_san",
    "keyUsage": "key_usage", "keyUsage_critical": "key_usage_critical", "extKeyUsage": "extended_key_usage",
    "extendedKeyUsage": "extended_key_usage", "extKeyUsage_critical": "extended_key_usage_critical",
    "extendedKeyUsage_critical": "extended_key_usage_critical", "basicConstraints": "basic_constraints",
    "basicConstraints_critical": "basic_constraints_critical", "ocspMustStaple": "ocsp_must_staple",
    "ocspMustStaple_critical": "ocsp_must_staple_critical", "attr": "attributes",
}  # fmt: skip
SHOWN = {"key_usage": "keyUsage", "extended_key_usage": "extendedKeyUsage", "basic_constraints": "basicConstraints",
         "ocsp_must_staple": "ocspMustStaple", "name_constraints_permitted": "name_constraints_permitted",
         "name_constraints_excluded": "name_constraints_excluded"}  # fmt: skip


def openssl_csr(
    change: Change,
    path: Path,
    state: Literal["absent", "present"] = "present",
    privatekey_path: Optional[Path] = None,
    privatekey_content: Optional[str] = None,
    privatekey_passphrase: Optional[str] = None,
    digest: str = "sha256",
    version: Literal[1] = 1,
    subject: Optional[Dict[str, Any]] = None,
    subject_ordered: Optional[List[Dict[str, Any]]] = None,
    country_name: Optional[str] = None,
    state_or_province_name: Optional[str] = None,
    locality_name: Optional[str] = None,
    organization_name: Optional[str] = None,
    organizational_unit_name: Optional[str] = None,
    common_name: Optional[str] = None,
    email_address: Optional[str] = None,
    subject_alt_name: Optional[List[str]] = None,
    subject_alt_name_critical: bool = False,
    use_common_name_for_san: bool = True,
    key_usage: Optional[List[str]] = None,
    key_usage_critical: bool = False,
    extended_key_usage: Optional[List[str]] = None,
    extended_key_usage_critical: bool = False,
    basic_constraints: Optional[List[str]] = None,
    basic_constraints_critical: bool = False,
    ocsp_must_staple: bool = False,
    ocsp_must_staple_critical: bool = False,
    name_constraints_permitted: Optional[List[str]] = None,
    name_constraints_excluded: Optional[List[str]] = None,
    name_constraints_critical: bool = False,
    create_subject_key_identifier: bool = False,
    subject_key_identifier: Optional[str] = None,
    crl_distribution_points: Optional[List[Dict[str, Any]]] = None,
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
    """Make a signing request, unless there is one that says the same for the same key.

    path: the file.
    state: whether it is to be there.
    privatekey_path: the key's file on the host.
    privatekey_content: the key itself instead.
    privatekey_passphrase: of the key.
    digest: of the signature.
    version: of the request.
    subject: names and values; a list of values for a name that occurs more than once.
    subject_ordered: the same as a list, in that order.
    country_name: C of the subject.
    state_or_province_name: ST of the subject.
    locality_name: L of the subject.
    organization_name: O of the subject.
    organizational_unit_name: OU of the subject.
    common_name: CN of the subject.
    email_address: of the subject.
    subject_alt_name: names that the certificate is for, as DNS:, IP:, email:, URI:, RID: or otherName:.
    subject_alt_name_critical: who does not understand it must refuse the certificate; so below.
    use_common_name_for_san: without other names the common name is one.
    key_usage: digitalSignature, keyEncipherment...
    key_usage_critical: see above.
    extended_key_usage: serverAuth, clientAuth...
    extended_key_usage_critical: see above.
    basic_constraints: CA:TRUE, pathlen:0...
    basic_constraints_critical: see above.
    ocsp_must_staple: the server must bring the proof that the certificate is not revoked.
    ocsp_must_staple_critical: see above.
    name_constraints_permitted: names that a CA may sign, as DNS:.example.com.
    name_constraints_excluded: names that it may not.
    name_constraints_critical: see above.
    create_subject_key_identifier: name the key by its digest.
    subject_key_identifier: name it so, as 00:11:22...
    crl_distribution_points: where revocations are published: each with full_name and perhaps reasons.
    force: make it anew even if it is right.
    backup: keep a copy of the one that is replaced, beside it.
    return_content: return it as `csr`.
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
    given = dict(locals())
    if subject is not None and subject_ordered is not None:
        raise ModuleFailure("parameters are mutually exclusive: subject|subject_ordered")
    if state == "absent":
        return {"filename": path, **remove(change, path, backup, secret=False)}
    made = _made(configuration(given), key_of(change, privatekey_path, privatekey_content, "privatekey"),
                 privatekey_passphrase, digest)  # fmt: skip
    attrs = Attributes(mode, owner, group, attributes, seuser, serole, setype, selevel)
    result = put_public(change, path, made, "req", attrs, force, backup)
    pairs = subject_of(given)
    result.update(filename=path, privatekey=privatekey_path, subject=[list(pair) for pair in pairs],
                  subjectAltName=alt_names_of(given, pairs) or None)  # fmt: skip
    result.update({name: given[key] for key, name in SHOWN.items()})
    return dict(result, csr=(change.read(path) or b"").decode()) if return_content else result


def key_of(change: Change, path: Optional[str], content: Optional[str], name: str) -> bytes:
    """A private key, from a file or from the task."""
    if (path is None) == (content is None):
        raise ModuleFailure("one of %s_path and %s_content is required" % (name, name))
    data = content.encode() if content is not None else change.read(str(path))
    if data is None:
        raise ModuleFailure("The private key %s does not exist" % path)
    return data


def _made(config: str, key: bytes, passphrase: Optional[str], digest: str) -> bytes:
    with openssl() as tool:
        return tool.call("req", "-new", "-config", tool.file(config.encode()), "-key", tool.file(key), "-" + digest,
                         *pass_in(passphrase), passphrase=passphrase)  # fmt: skip
