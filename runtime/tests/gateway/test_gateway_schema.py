"""schemathesis reads the gateway's OpenAPI document and finds no request that it answers otherwise than it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from processes import Engine, Gateway, get, model, until

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_every_answer_is_one_that_the_document_names(
    engine: Callable[..., Engine], gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    running = gateway(models=[model(engine())], log={"calls": False})
    until(running.ready, "ready")
    document = tmp_path / "openapi.json"
    document.write_bytes(get(f"{running.url}/openapi.json").content)
    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", document, "--url", running.url,
            "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "*"},
        timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "traceback" not in running.log().lower()
    assert running.ready()
