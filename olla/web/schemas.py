"""What our pages say, as JSON Schema: the parts of ``/openapi.json`` under ``components/schemas``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
Properties = Mapping[str, Json]


def shaped(pattern: str, example: str) -> Json:
    """Describe a string of a form."""
    return {"type": "string", "pattern": f"^(?:{pattern})$", "examples": [example]}


def words(*known: str) -> Json:
    """Describe a string that is one of ``known``."""
    return {"type": "string", "enum": [*known]}


def many(items: Json) -> Json:
    """Describe a list."""
    return {"type": "array", "items": items}


def keyed(values: Json) -> Json:
    """Describe an object whose keys are names."""
    return {"type": "object", "additionalProperties": values}


def record(properties: Properties, optional: Properties | None = None) -> Json:
    """Describe an object; what is ``optional`` is left out where nothing is known."""
    return {"type": "object", "required": [*properties], "properties": {**properties, **(optional or {})}}


def ref(name: str) -> Json:
    """Point to a schema of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Json = {"type": "string"}
TEXTS = many(TEXT)
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
NUMBER: Json = {"type": "number", "minimum": 0}
ANYTHING: Json = {}

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
TIME = {**shaped(MOMENT, "2026-01-31T12:00:00.000Z"), "format": "date-time"}
TIME_OR_NOTHING = shaped(f"(?:{MOMENT})?", "2026-01-31T12:00:00.000Z")
AGO = shaped(r"(?:never|\d+[smhd] ago)?", "5m ago")
UNTIL = shaped(r"unknown|now|in \d+[smhd]", "in 3s")
UPTIME = shaped(r"\d+s|\d+m|\d+h \d+m|\d+d \d+h", "2h 30m")
SPENT = shaped(r"(?:0s|\d+(?:\.\d+)?(?:ns|µs|ms|s)|(?:\d+h)?(?:\d+m)?\d+s)?", "2h30m15s")
SIZE = shaped(r"(?:\d+ B|\d+\.\d\d (?:KB|MB|GB|TB|PB))?", "3.81 GB")
LATENCY = shaped(r"\d+ms|\d+\.\ds", "85ms")
PERCENT = shaped(r"N/A|0%|100%|\d{1,3}\.\d%", "99.6%")
RATIO = shaped(r"\d+/\d+", "9/10")
STATUS = words("healthy", "busy", "warming", "offline", "unhealthy", "unknown", "config_error", "rate_limited")

_ENDPOINT: Properties = {
    "id": shaped(r"[0-9a-z]{1,7}(?:-\d+)?", "1k2j3h"),
    "name": TEXT,
    "url": shaped(r"https?://[^?#@]+", "http://localhost:11434"),
    "type": TEXT,
    "status": STATUS,
    "priority": COUNT,
    "success_rate": PERCENT,
    "min_latency_ms": COUNT,
    "max_latency_ms": COUNT,
    "circuit": words("closed", "open", "half-open"),
}
_ENDPOINT_KNOWN: Properties = {
    "avg_latency_ms": COUNT,
    "tags": keyed(TEXT),
    "health_check_at": TIME,
    "next_check_at": TIME,
}

HEALTH = record(
    {"status": words("healthy", "draining", "unavailable")},
    {"endpoints": record({"healthy": COUNT, "total": COUNT}), "ready": FLAG},
)
STATUS_PAGE = record(
    {
        "timestamp": TIME,
        "proxy": record(
            {"engine": words("olla", "sherpa"), "profile": words("auto", "streaming", "standard"), "balancer": TEXT}
        ),
        "endpoints": many(
            record(
                {
                    **_ENDPOINT,
                    "avg_latency": LATENCY,
                    "traffic": SIZE,
                    "connections": COUNT,
                    "requests": COUNT,
                    "last_check": AGO,
                    "next_check": UNTIL,
                    "issues": TEXT,
                    "models": record({"count": COUNT, "last_updated": TIME}),
                },
                _ENDPOINT_KNOWN,
            )
        ),
        "security": record(
            {
                "status": words("normal", "elevated"),
                "blocked_ips": COUNT,
                "violations": record({"rate_limits": COUNT, "size_limits": COUNT}),
            }
        ),
        "system": record(
            {
                "status": words("healthy", "degraded", "critical"),
                "endpoints_up": RATIO,
                "success_rate": PERCENT,
                "avg_latency": LATENCY,
                "total_traffic": SIZE,
                "uptime": UPTIME,
                "start_time": TIME,
                "version": TEXT,
                "commit": TEXT,
                "active_connections": COUNT,
                "security_violations": COUNT,
                "total_requests": COUNT,
                "total_failures": COUNT,
                "client_disconnects": COUNT,
                "has_traffic": FLAG,
            }
        ),
    }
)
ENDPOINTS = record(
    {
        "timestamp": TIME,
        "total_count": COUNT,
        "healthy_count": COUNT,
        "routable_count": COUNT,
        "endpoints": many(
            record(
                {
                    **_ENDPOINT,
                    "model_count": COUNT,
                    "request_count": COUNT,
                    "active_connections": COUNT,
                    "health_check": AGO,
                    "consecutive_failures": COUNT,
                },
                {
                    **_ENDPOINT_KNOWN,
                    "response_time": LATENCY,
                    "last_model_sync": AGO,
                    "last_model_sync_at": TIME,
                    "issues": TEXT,
                    "last_error": TEXT,
                },
            )
        ),
    }
)
_REGISTERED = record(
    {"name": TEXT, "last_seen": AGO, "endpoints": TEXTS, "endpoint_ids": TEXTS},
    {
        "type": TEXT,
        "family": TEXT,
        "params": TEXT,
        "quant": TEXT,
        "size": SIZE,
        "last_seen_at": TIME,
        "aliases": TEXTS,
        "capabilities": TEXTS,
    },
)
REGISTRY = record(
    {
        "timestamp": TIME,
        "total_models": COUNT,
        "total_families": COUNT,
        "total_endpoints": COUNT,
        "models_by_family": keyed(TEXTS),
        "recent_models": many(_REGISTERED),
    },
    {
        "model_groups": many(
            record({"family": TEXT, "models": many(_REGISTERED), "endpoints": TEXTS, "model_count": COUNT})
        )
    },
)
_USED_ENDPOINT = record(
    {
        "endpoint_name": TEXT,
        "request_count": COUNT,
        "success_rate": NUMBER,
        "average_latency": LATENCY,
        "last_used": AGO,
        "consecutive_errors": COUNT,
    }
)
MODEL_STATS = record(
    {
        "timestamp": TIME,
        "models": many(
            record(
                {
                    "name": TEXT,
                    **dict.fromkeys(("total_requests", "successful_requests", "failed_requests"), COUNT),
                    "success_rate": PERCENT,
                    "total_traffic": SIZE,
                    **dict.fromkeys(("average_latency", "p95_latency", "p99_latency"), LATENCY),
                    "last_requested": AGO,
                    "unique_clients": COUNT,
                    **dict.fromkeys(("routing_hits", "routing_misses", "routing_fallbacks"), COUNT),
                },
                {
                    "input_tokens": COUNT,
                    "output_tokens": COUNT,
                    "avg_tokens_per_second": NUMBER,
                    "avg_ttft_ms": COUNT,
                    "endpoint_breakdown": keyed(_USED_ENDPOINT),
                },
            )
        ),
        "endpoints": keyed(_USED_ENDPOINT),
        "summary": record(
            {
                "total_models": COUNT,
                "active_models": COUNT,
                "total_requests": COUNT,
                "overall_success_rate": PERCENT,
                "total_traffic": SIZE,
                "most_popular_model": TEXT,
                "least_popular_model": TEXT,
            }
        ),
    }
)
TRANSLATOR_STATS = record(
    {
        "timestamp": TIME,
        "translators": many(
            record(
                {
                    "translator_name": TEXT,
                    **dict.fromkeys(("total_requests", "successful_requests", "failed_requests"), COUNT),
                    **dict.fromkeys(("success_rate", "passthrough_rate"), PERCENT),
                    **dict.fromkeys(("passthrough_requests", "translation_requests"), COUNT),
                    **dict.fromkeys(("streaming_requests", "non_streaming_requests"), COUNT),
                    "fallback_no_compatible_endpoints": COUNT,
                    "fallback_translator_does_not_support_passthrough": COUNT,
                    "fallback_cannot_passthrough": COUNT,
                    "average_latency": LATENCY,
                }
            )
        ),
        "summary": record(
            {
                "total_translators": COUNT,
                "active_translators": COUNT,
                "total_requests": COUNT,
                "overall_success_rate": PERCENT,
                "total_passthrough": COUNT,
                "total_translations": COUNT,
                "overall_passthrough_rate": PERCENT,
                "total_streaming": COUNT,
                "total_non_streaming": COUNT,
            }
        ),
    }
)
SESSION_STATS = record(
    {"enabled": FLAG},
    dict.fromkeys(
        (
            *("active_sessions", "insertions", "hits", "misses", "repins", "evictions"),
            *("max_sessions", "idle_ttl_seconds"),
        ),
        COUNT,
    ),
)
_WORKER = record(
    {
        "timestamp": TIME,
        "memory": record(
            {
                **dict.fromkeys(("heap_alloc", "heap_sys", "heap_inuse", "heap_released"), SIZE),
                "stack_inuse": SIZE,
                "total_alloc": SIZE,
                "memory_pressure": words("LOW", "MEDIUM", "HIGH"),
            }
        ),
        "garbage_collection": record(
            {
                "last_gc": TIME_OR_NOTHING,
                "total_gc_time": SPENT,
                "avg_gc_pause": SPENT,
                "gc_cpu_fraction": NUMBER,
                "num_gc_cycles": COUNT,
            }
        ),
        "goroutines": record(
            {
                "count": COUNT,
                "health_status": words("HEALTHY", "NORMAL", "ELEVATED", "CONCERNING"),
                "cgo_calls": COUNT,
            }
        ),
        "runtime": record(
            {
                "uptime": SPENT,
                **dict.fromkeys(("go_version", "implementation", "python_version", "twisted_version"), TEXT),
                "platform": TEXT,
                **dict.fromkeys(("num_cpu", "gomaxprocs", "workers", "worker_id"), COUNT),
            }
        ),
        "allocations": record(dict.fromkeys(("net_objects", "total_frees", "total_mallocs"), COUNT)),
        "process": record(
            {
                **dict.fromkeys(("pid", "rss_bytes", "vms_bytes", "peak_rss_bytes", "threads", "open_fds"), COUNT),
                "max_fds": {"type": "integer"},
                **dict.fromkeys(("cpu_user_seconds", "cpu_system_seconds", "cpu_percent"), NUMBER),
            }
        ),
        "reactor": record(
            {
                "name": TEXT,
                **dict.fromkeys(("delayed_calls", "selectables", "threadpool_size", "threadpool_queue"), COUNT),
                **dict.fromkeys(("lag_ms", "lag_max_ms"), NUMBER),
            }
        ),
    }
)
PROCESS: Json = {"anyOf": [ref("Worker"), record({"workers": many(ref("Worker"))})]}
VERSION = record(
    {
        "name": {"const": "Olla"},
        **dict.fromkeys(("version", "edition", "description"), TEXT),
        "build": record(
            dict.fromkeys(("commit", "date", "go_version", "python_version", "twisted_version", "platform"), TEXT)
        ),
        **dict.fromkeys(("capabilities", "capabilities_experimental", "supported_backends"), TEXTS),
        "api": record({"version": {"const": "v1"}, "endpoints": keyed(TEXT)}),
        "links": keyed(TEXT),
    }
)

SCHEMAS: Properties = {
    "Health": HEALTH,
    "Status": STATUS_PAGE,
    "Endpoints": ENDPOINTS,
    "Registry": REGISTRY,
    "ModelStats": MODEL_STATS,
    "TranslatorStats": TRANSLATOR_STATS,
    "SessionStats": SESSION_STATS,
    "Process": PROCESS,
    "Worker": _WORKER,
    "Version": VERSION,
}
"""The pages for operators, by name; :mod:`olla.web.model_schemas` has those of models."""
