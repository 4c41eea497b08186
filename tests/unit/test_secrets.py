"""A secret is not shown, in whatever form a text carries it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxops.playbook.secrets import SecretRegistry
from wxops.playbook.source import load_text
from wxops.playbook.templating import Templar
from wxops.playbook.vault import VaultKeys

SECRET = "pa\"ss\\wörd's\n%x"


def registry(*values: Any) -> SecretRegistry:
    secrets = SecretRegistry()
    for value in values:
        secrets.add(value)
    return secrets


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps({"k": SECRET}),
        json.dumps([SECRET], ensure_ascii=False),
        repr([SECRET]),
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.replace("\n", "\r\n"),
    ],
)
def test_every_form_is_masked(text: str) -> None:
    masked = registry(SECRET).mask(f"before {text} after")
    assert masked.startswith("before ") and masked.endswith(" after") and "***" in masked
    assert "rd's" not in masked and "pa" not in masked and text not in masked


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_a_secret_within_a_text_in_base64_is_masked_at_every_alignment(
    before: bytes, after: bytes, encode: Any
) -> None:
    secret = "correct horse battery"
    masked = registry(secret).mask(encode(before + secret.encode() + after).decode())
    assert "***" in masked
    for number in range(len(secret) - 6):
        for lead in range(3):
            part = encode(b"\0" * lead + secret[number : number + 6].encode()).decode().rstrip("=")
            assert part[2:8] not in masked or len(part[2:8]) < 6


@given(st.text(min_size=4), st.text(), st.text())
def test_no_text_shows_a_secret(secret: str, before: str, after: str) -> None:
    shown = registry(secret).mask(before + secret + after)
    assert len(secret.strip()) < 4 or secret.strip() not in shown or secret.strip() in "***"


def test_secrets_that_overlap_leave_nothing_between_them() -> None:
    assert registry("abcdef", "defghi").mask("xabcdefghix") == "x***x"


def test_short_values_are_ordinary_text() -> None:
    secrets = registry("abc", 1234, True, None, "")
    assert secrets.mask("abc 1234 True") == "abc 1234 True"


def test_a_private_key_is_masked_line_by_line_as_a_diff_shows_it() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n"
    diff = "\n".join(f"+  {line}" for line in key.splitlines())
    assert "MIIE" not in registry(key).mask(diff) and "QEFA" not in registry(key).mask(diff)


def test_nested_data_is_masked_keys_and_all_and_the_original_left_as_it_is() -> None:
    data = {"token-hunter2": ["x hunter2", {"n": 123456}], "b": b"\xffhunter2", "t": True}
    assert registry("hunter2", 123456).mask_data(data) == {
        "token-***": ["x ***", {"n": "***"}],
        "b": b"\xff***",
        "t": True,
    }
    assert data["token-hunter2"][0] == "x hunter2"


def test_without_secrets_data_is_handed_through() -> None:
    data = {"a": [1]}
    assert SecretRegistry().mask_data(data) is data


def test_what_a_template_decrypts_is_known_to_be_secret(tmp_path: Path) -> None:
    keys = VaultKeys().and_password("default", b"key")
    text = keys.encrypt("open-{{ word }}").replace("\n", "\n  ")
    (tmp_path / "file").write_text(keys.encrypt("in-a-file"))
    templar = Templar(
        load_text(f"secret: !vault |\n  {text}\nword: sesame\n", "v.yml"), vault=keys, search_path=[tmp_path]
    )
    assert templar.render(load_text("'{{ secret }}'", "x")) == "open-sesame"
    templar.render(load_text("\"{{ lookup('file', 'file') }} {{ lookup('password', '/dev/null seed=1') }}\"", "x"))
    assert templar.secrets.mask("open-sesame in-a-file") == "*** ***"
    password = templar.render(load_text("\"{{ lookup('password', '/dev/null seed=1') }}\"", "x"))
    assert templar.secrets.mask(password) == "***"
