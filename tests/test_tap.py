"""Tests of :mod:`olla.tap`; what needs a process is in :mod:`tests.process`."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from olla.tap import log_file_of


class LogFiles(SynchronousTestCase):
    """Where the log goes, by ``twistd``'s own options."""

    def test_foreground(self) -> None:
        """In the foreground it is standard output, unless a file is named."""
        for logfile in (None, "", "-"):
            self.assertEqual(log_file_of({"nodaemon": True, "logfile": logfile}), "")
        self.assertEqual(log_file_of({"nodaemon": True, "logfile": "/var/log/olla.log"}), "/var/log/olla.log")
        self.assertEqual(log_file_of({}), "")

    def test_daemon(self) -> None:
        """A daemon has no standard output: the file is ``twistd.log`` where it started."""
        self.assertEqual(log_file_of({"nodaemon": False, "logfile": None}), os.path.abspath("twistd.log"))
        self.assertEqual(log_file_of({"nodaemon": False, "logfile": "a.log"}), os.path.abspath("a.log"))
