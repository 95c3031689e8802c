"""
Starts Olla with its two embedded engines, and lets schemathesis loose on it; ends with what that ends with.

Three runs: the pages of ours, which must never fail, whatever they are asked; what lies under a prefix, where only
the form of our own answers counts; and requests as clients make them of the engines, by a small document of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.process.program import ROOT, Program

SEED = "1"
SECONDS = 120.0  # for one run at the very most; as many requests are made everywhere
BEHIND = r"\{path\}"
FORM = (
    "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,"
    "not_our_fault"
)
OF_PAGES = f"not_a_server_error,{FORM}"
ASKED = Path(__file__).with_name("asked.yaml")


def run(program: Program, document: str, checks: str, examples: int, *arguments: str) -> int:
    """
    Run it once.

    :param checks: their names.
    :param examples: requests made up for each method of each path, beside those at the edges of its schemas.
    :return: exit status.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", document, "--url", f"http://127.0.0.1:{program.port}"),
        *("--checks", checks, "--max-examples", str(examples)),
        *("--seed", SEED, "--generation-deterministic"),
        *("--request-timeout", "10", "--warnings", "off"),
        *arguments,
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, timeout=SECONDS, check=False, env=environ, cwd=program.folder).returncode


def main() -> int:
    """Run it on the pages, on the prefixes and on the engines; then see that nothing has been logged as a fault."""
    program = Program("--demo", config={"logging": {"level": "error"}}).wait()
    ours = f"http://127.0.0.1:{program.port}/openapi.json"
    try:
        failed = [
            run(program, ours, OF_PAGES, 25, "--exclude-path-regex", BEHIND),
            run(program, ours, FORM, 2, "--include-path-regex", BEHIND),
            run(program, str(ASKED), FORM, 20),
        ]
        program.signal(signal.SIGTERM)
        status, _, logged = program.end()
        if status or "Traceback" in logged:
            print(f"Olla ended with {status}\n{logged}")
            return 1
        return int(any(failed))
    finally:
        program.stop()


sys.exit(main())
