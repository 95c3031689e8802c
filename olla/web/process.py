"""What the process itself costs: ``/internal/process`` (http-api.md §11.10)."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from attrs import define, field, frozen

import twisted
from olla.web.counters import Cpu, Garbage, Lag
from olla.web.figures import duration, size, timestamp
from olla.web.page import NO_STORE, Page, json_page
from olla.web.version import implementation, system

Query = Mapping[bytes, Sequence[bytes]]
Json = dict[str, Any]

LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
QUOTA_FILE = "/sys/fs/cgroup/cpu.max"
KIB = 1024


@frozen
class Reactor:
    """
    How busy the reactor is.

    :ivar name: ``epoll``, ``asyncio`` …
    :ivar delayed_calls: timers that wait.
    :ivar selectables: sockets that it watches.
    :ivar threads: of its pool.
    :ivar queue: calls that wait for one of them.
    """

    name: str
    delayed_calls: int
    selectables: int
    threads: int
    queue: int


@frozen
class Memory:
    """
    Memory of the process, in bytes; what the system does not tell is 0.

    :ivar limit: what it may have at most.
    """

    resident: int
    virtual: int
    shared: int
    peak: int
    stack: int
    limit: int


def watched(reactor: Any) -> Reactor:
    """Look at a reactor; what one of another make does not tell is 0."""
    name = type(reactor).__name__.lower().replace("reactor", "").replace("selector", "") or "unknown"
    readers = reactor.getReaders() if hasattr(reactor, "getReaders") else ()
    writers = reactor.getWriters() if hasattr(reactor, "getWriters") else ()
    pool = getattr(reactor, "threadpool", None)
    return Reactor(
        name,
        len(reactor.getDelayedCalls()),
        len({*readers, *writers}),
        len(pool.threads) if pool is not None else 0,
        pool.q.qsize() if pool is not None else 0,
    )


def memory_limit(files: Iterable[str] = LIMIT_FILES) -> int:
    """Give the bytes that this process may use: its group's limit, or all that the machine has."""
    total: int = psutil.virtual_memory().total
    for name in files:
        text = _read(name)
        if text.isdigit():
            return min(total, int(text))
    return total


def usable_cpus(quota: str = QUOTA_FILE) -> int:
    """Give how many processors this process may use."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted, _, period = _read(quota).partition(" ")
    if granted.isdigit() and period.isdigit():
        return max(1, min(cpus, int(granted) // int(period)))
    return cpus


def measured_memory(process: psutil.Process, limit: int, status: str = "/proc/self/status") -> Memory:
    """
    Measure.

    :param status: file in which the kernel tells the stack.
    """
    told = process.memory_info()
    stack = next((line.split()[1] for line in _read(status).splitlines() if line.startswith("VmStk:")), "0")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIB)
    return Memory(told.rss, told.vms, getattr(told, "shared", 0), max(peak, told.rss), int(stack) * KIB, limit)


@define(eq=False)
class ProcessPage:
    """
    Makes the page, from what this very process measures.

    :ivar reactor: looks at the reactor, see :func:`watched`.
    :ivar memory: measures, see :func:`measured_memory`.
    :ivar started: seconds on ``clock`` at which it began.
    :ivar workers: processes that share the work, and ``worker_id`` which of them this is.
    """

    process: psutil.Process
    reactor: Callable[[], Reactor]
    memory: Callable[[], Memory]
    lag: Lag
    cpu: Cpu
    garbage: Garbage
    started: float
    clock: Callable[[], float]
    wall: Callable[[], float]
    workers: int = 1
    worker_id: int = 0
    _cpus: int = field(init=False, factory=usable_cpus)

    def page(self, query: Query) -> Page:
        """Make it; with ``all=true`` as one of a list of workers."""
        value = self._value()
        return json_page({"workers": [value]} if query.get(b"all") == [b"true"] else value, NO_STORE)

    def _value(self) -> Json:
        memory, reactor = self.memory(), self.reactor()
        with self.process.oneshot():
            times, threads = self.process.cpu_times(), self.process.num_threads()
        used = times.user + times.system
        garbage = self.garbage
        blocks = sys.getallocatedblocks()
        units = threads + reactor.selectables + reactor.delayed_calls
        return {
            "timestamp": timestamp(self.wall()),
            "memory": _memory(memory),
            "garbage_collection": {
                "last_gc": timestamp(garbage.last) if garbage.last is not None else "",
                "total_gc_time": duration(garbage.seconds),
                "avg_gc_pause": duration(garbage.seconds / garbage.cycles) if garbage.cycles else "",
                "gc_cpu_fraction": round(garbage.seconds / used, 6) if used else 0.0,
                "num_gc_cycles": garbage.cycles,
            },
            "goroutines": {"count": units, "health_status": concurrency_status(units), "cgo_calls": 0},
            "runtime": {
                "uptime": duration(self.clock() - self.started),
                "go_version": implementation(),
                "num_cpu": os.cpu_count() or 1,
                "gomaxprocs": self._cpus,
                "implementation": platform.python_implementation(),
                "python_version": platform.python_version(),
                "twisted_version": twisted.__version__,
                "platform": system(),
                "workers": self.workers,
                "worker_id": self.worker_id,
            },
            "allocations": {
                "net_objects": blocks,
                "total_frees": garbage.collected,
                "total_mallocs": blocks + garbage.collected,
            },
            "process": {
                "pid": self.process.pid,
                "rss_bytes": memory.resident,
                "vms_bytes": memory.virtual,
                "peak_rss_bytes": memory.peak,
                "cpu_user_seconds": times.user,
                "cpu_system_seconds": times.system,
                "cpu_percent": round(self.cpu.percent, 1),
                "threads": threads,
                "open_fds": self.process.num_fds() if hasattr(self.process, "num_fds") else 0,
                "max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            },
            "reactor": {
                "name": reactor.name,
                "lag_ms": round(self.lag.mean * 1000, 3),
                "lag_max_ms": round(self.lag.longest * 1000, 3),
                "delayed_calls": reactor.delayed_calls,
                "selectables": reactor.selectables,
                "threadpool_size": reactor.threads,
                "threadpool_queue": reactor.queue,
            },
        }


def summary(page: bytes) -> Json:
    """
    Give what is left to say of a process at its end.

    :param page: as :meth:`ProcessPage.page` has made it.
    """
    told = json.loads(page)
    process, garbage, runtime = told["process"], told["garbage_collection"], told["runtime"]
    return {
        "uptime": runtime["uptime"],
        "memory": size(process["rss_bytes"]),
        "peak_memory": size(process["peak_rss_bytes"]),
        "cpu_user_seconds": process["cpu_user_seconds"],
        "cpu_system_seconds": process["cpu_system_seconds"],
        "threads": process["threads"],
        "open_files": process["open_fds"],
        "objects": told["allocations"]["net_objects"],
        "collections": garbage["num_gc_cycles"],
        "collecting": garbage["total_gc_time"],
    }


def memory_pressure(memory: Memory) -> str:
    """Judge how near the process is to its limit: ``LOW``, ``MEDIUM`` above 60 %, ``HIGH`` above 85 %."""
    share = memory.resident / memory.limit if memory.limit else 0.0
    return "HIGH" if share > 0.85 else "MEDIUM" if share > 0.6 else "LOW"


def concurrency_status(units: int) -> str:
    """Judge how much goes on at once."""
    if units <= 100:
        return "HEALTHY"
    if units <= 500:
        return "NORMAL"
    return "ELEVATED" if units <= 1000 else "CONCERNING"


def _memory(memory: Memory) -> Json:
    return {
        "heap_alloc": size(memory.resident),
        "heap_sys": size(memory.virtual),
        "heap_inuse": size(memory.resident - memory.shared),
        "heap_released": size(max(0, memory.peak - memory.resident)),
        "stack_inuse": size(memory.stack),
        "total_alloc": size(memory.peak),
        "memory_pressure": memory_pressure(memory),
    }


def _read(name: str) -> str:
    try:
        return Path(name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
