"""Faults befall the requests that they are meant for, and as many as they are meant for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.demo.faults import MODES, Faults, asked_for


class FaultsTests(SynchronousTestCase):
    """Which request meets what."""

    def test_always(self) -> None:
        """Without a count every request for an answer meets the fault; checks and listings do not."""
        faults = Faults("busy")
        self.assertEqual([faults.next(True), faults.next(False), faults.next(True)], ["busy", "none", "busy"])
        self.assertFalse(faults.refuses())

    def test_counted(self) -> None:
        """With a count so many meet it, and those that do not meet it are not counted."""
        faults = Faults("cut", count=2)
        met = [faults.next(inference) for inference in (False, True, False, True, True)]
        self.assertEqual(met, ["none", "cut", "none", "cut", "none"])

    def test_everywhere(self) -> None:
        """On request checks and listings meet it as well."""
        self.assertEqual(Faults("hang", everywhere=True).next(False), "hang")

    def test_refuse(self) -> None:
        """To refuse befalls connections, and requests of any kind on those that stand; both are counted."""
        faults = Faults("refuse", count=2)
        self.assertTrue(faults.refuses())
        self.assertEqual(faults.next(False), "refuse")
        self.assertFalse(faults.refuses())
        self.assertEqual(faults.next(False), "none")

    def test_none(self) -> None:
        """Nothing goes wrong by itself, and nothing is counted."""
        faults = Faults(count=1)
        self.assertEqual((faults.next(True), faults.refuses(), faults.count), ("none", False, 1))

    def test_wishes(self) -> None:
        """A request asks for a fault by its header or by a message that is nothing else."""
        for mode in MODES:
            self.assertEqual(asked_for(mode, ""), mode)
            self.assertEqual(asked_for("", f" !{mode}\n"), mode)
        for field, question in (
            ("", ""),
            ("explode", ""),
            ("", "cut"),
            ("", "!cut it"),
            ("", "!"),
            ("", "!explode"),
        ):
            self.assertIsNone(asked_for(field, question))
