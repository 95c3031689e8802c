"""The cases of ``loopback`` hold on each reactor that Olla may meet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.process.program import ROOT, environment

SECONDS = 90.0


class ReactorTests(SynchronousTestCase):
    """Each reactor in a process of its own, for there can be but one in each."""

    def holds_on(self, reactor: str) -> None:
        """Run all cases on ``reactor``."""
        options = [f"--temp-directory={Path(self.mktemp()).absolute()}", f"--reactor={reactor}"]
        ran = subprocess.run(
            [sys.executable, "-m", "twisted.trial", *options, "tests.wire.loopback"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS,
        )
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn("PASSED (successes=", ran.stdout)

    def test_lean(self) -> None:
        """TLS, both directions and every way to end hold on our own reactor (R23, R38, R45, R49, R51, R52, R53)."""
        self.holds_on("olla")

    def test_epoll(self) -> None:
        """They hold on Linux's usual reactor."""
        self.holds_on("epoll")

    def test_poll(self) -> None:
        """They hold on the reactor of other Unixes."""
        self.holds_on("poll")

    def test_select(self) -> None:
        """They hold on the reactor that works everywhere."""
        self.holds_on("select")

    def test_asyncio(self) -> None:
        """They hold inside an application that lives on asyncio's loop."""
        self.holds_on("asyncio")
