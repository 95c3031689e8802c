"""
Starts Olla with its two embedded engines, and lets schemathesis loose on it; ends with what that ends with.

Pages of ours must never fail, whatever they are asked; what lies under a prefix is answered by a backend, so that
there only the form of our own answers counts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.process.program import Program

SEED = "1"
LIMIT = 180.0
BEHIND = r"\{path\}"
FORM = "status_code_conformance,content_type_conformance,response_schema_conformance"


def run(program: Program, *arguments: str) -> int:
    """Run it once; gives its exit status."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"http://127.0.0.1:{program.port}/openapi.json"),
        *("--seed", SEED, "--request-timeout", "10", "--generation-database", "none"),
        *arguments,
    ]
    return subprocess.run(command, timeout=LIMIT, check=False).returncode


def main() -> int:
    """Run it on the pages, then on the prefixes."""
    program = Program("--demo", config={"logging": {"level": "error"}}).wait()
    try:
        pages = run(
            program, "--max-examples", "15", "--checks", f"not_a_server_error,{FORM}", "--exclude-path-regex", BEHIND
        )
        prefixes = run(program, "--max-examples", "5", "--checks", FORM, "--include-path-regex", BEHIND)
        return pages or prefixes
    finally:
        program.stop()


sys.exit(main())
