"""Tests of :mod:`olla.web.process`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.lag import Lag
from olla.telemetry.vitals import CpuMeter, GarbageWatch
from olla.web.process import (
    Memory,
    ProcessPage,
    Reactor,
    concurrency_status,
    measured_memory,
    memory_limit,
    memory_pressure,
    usable_cpus,
    watched,
)
from tests.golden.shape import page as problems

MIB = 1 << 20


class ProcessPageTests(SynchronousTestCase):
    """What the process costs."""

    def setUp(self) -> None:
        """Run for two and a half hours."""
        self.clock = Clock()
        self.garbage = GarbageWatch([], self.clock.seconds, lambda: 1_700_000_000.0)
        self.page = ProcessPage(
            psutil.Process(),
            lambda: Reactor("epoll", 4, 1000, 10, 2),
            lambda: Memory(100 * MIB, 400 * MIB, 30 * MIB, 120 * MIB, 0, 160 * MIB),
            Lag(self.clock),
            CpuMeter(lambda: 0.0, self.clock),
            self.garbage,
            0.0,
            self.clock.seconds,
            lambda: 1_700_000_000.0,
        )
        self.clock.advance(9015.0)

    def value(self, query: Any = None) -> dict[str, Any]:
        """Give what the page says."""
        value: dict[str, Any] = json.loads(self.page.page(query or {}).body)
        return value

    def conforms(self) -> None:
        """Compare with what the original answered."""
        page = self.page.page({})
        headers = {name.decode(): value.decode() for name, value in page.fields}
        self.assertEqual(problems("internal-process", page.status, headers, page.body), [])

    def test_shape(self) -> None:
        """Every group and key that clients know is there with its type, before and after collections (C88)."""
        self.conforms()
        self.assertEqual(self.value()["garbage_collection"]["avg_gc_pause"], "")
        self.garbage.cycles, self.garbage.seconds, self.garbage.last = 4, 0.01, 1_700_000_000.0
        self.conforms()
        self.assertEqual(self.value()["garbage_collection"]["avg_gc_pause"], "2.5ms")

    def test_figures(self) -> None:
        """Memory, concurrency and uptime are what was measured (§11.10)."""
        value = self.value()
        self.assertEqual(
            value["memory"],
            {
                "heap_alloc": "100.00 MB",
                "heap_sys": "400.00 MB",
                "heap_inuse": "70.00 MB",
                "heap_released": "20.00 MB",
                "stack_inuse": "0 B",
                "total_alloc": "120.00 MB",
                "memory_pressure": "MEDIUM",
            },
        )
        self.assertGreaterEqual(value["goroutines"]["count"], 1005)
        self.assertEqual(value["goroutines"]["health_status"], "CONCERNING")
        self.assertEqual(value["runtime"]["uptime"], "2h30m15s")
        self.assertEqual(value["reactor"]["threadpool_queue"], 2)
        groups = {"pid", "rss_bytes", "cpu_percent", "threads", "open_fds", "max_fds"}
        self.assertLessEqual(groups, set(value["process"]))

    def test_all_workers(self) -> None:
        """Asked for all workers, the one that there is answers in a list (§11.10)."""
        [worker] = self.value({b"all": [b"true"]})["workers"]
        self.assertEqual(set(worker), set(self.value()))

    def test_judgements(self) -> None:
        """Pressure and concurrency are judged by the thresholds of §11.10."""
        for resident, pressure in ((60, "LOW"), (61, "MEDIUM"), (85, "MEDIUM"), (86, "HIGH")):
            self.assertEqual(memory_pressure(Memory(resident, 0, 0, 0, 0, 100)), pressure)
        for units, status in ((100, "HEALTHY"), (500, "NORMAL"), (1000, "ELEVATED"), (1001, "CONCERNING")):
            self.assertEqual(concurrency_status(units), status)


class MeasureTests(SynchronousTestCase):
    """What the system tells."""

    def file(self, text: str) -> str:
        """Write a file such as the kernel has."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_memory_limit(self) -> None:
        """The group's limit counts where there is one; otherwise the machine's memory does."""
        total = psutil.virtual_memory().total
        self.assertEqual(memory_limit([self.file("1048576\n")]), 1048576)
        for files in (["/nowhere"], [self.file("max\n")], [self.file(str(1 << 62))]):
            self.assertEqual(memory_limit(files), total)

    def test_cpus(self) -> None:
        """A quota in whole processors counts, and one of less is still one."""
        self.assertEqual(usable_cpus(self.file("50000 100000\n")), 1)
        self.assertGreaterEqual(usable_cpus(self.file("max 100000\n")), 1)

    def test_memory(self) -> None:
        """The process's own memory is measured, in bytes."""
        memory = measured_memory(psutil.Process(), 1, self.file("Name:\tx\nVmStk:\t     132 kB\n"))
        self.assertEqual(memory.stack, 132 * 1024)
        self.assertGreater(memory.resident, MIB)
        self.assertGreaterEqual(memory.peak, memory.resident)
        self.assertEqual(measured_memory(psutil.Process(), 1, "/nowhere").stack, 0)

    def test_reactor(self) -> None:
        """A reactor's timers and sockets are counted, each once, whatever its make."""

        class EPollReactor:
            threadpool = SimpleNamespace(threads=[1, 2], q=SimpleNamespace(qsize=lambda: 3))

            def getDelayedCalls(self) -> list[int]:
                return [1]

            def getReaders(self) -> list[str]:
                return ["a", "b"]

            def getWriters(self) -> list[str]:
                return ["b"]

        self.assertEqual(watched(EPollReactor()), Reactor("epoll", 1, 2, 2, 3))
        self.assertEqual(watched(Clock()).selectables, 0)
