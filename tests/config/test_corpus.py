"""Files as users have them, the example of the specification, and our own sample."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import yaml

import olla
from olla.config import load
from olla.config.keys import read_block
from olla.config.reading import Reading
from olla.config.schema import Config
from tests.config.loading import ENDPOINTS, LoadingTestCase
from tests.config.test_load import flat

GOLDEN = Path(__file__).parent / "golden" / "config-keys.json"
SAMPLE = Path(olla.__file__).parent.parent / "conf" / "olla.yaml"
OLD_KEYS = {  # accepted, but not what a new file should have
    "discovery.health_check.initial_delay",
    "discovery.static.endpoints[].max_concurrent",
    "model_registry.unification.enabled",
    "proxy.max_retries",
    "proxy.retry_backoff",
}

EXAMPLE = """
server:
  host: 0.0.0.0
  read_header_timeout: 10s
  request_limits: { max_body_size: 104857600, max_header_size: 1048576 }
  rate_limits: { burst_size: 100, trust_proxy_headers: true, trusted_proxy_cidrs: [10.0.0.0/8] }
  cors: { enabled: true, allowed_origins: ["https://chat.example.org"], max_age: 600 }
proxy:
  engine: olla
  response_timeout: 30m
  pool: { max_idle: 100, max_idle_per_host: 25, max_per_host: 50, idle_timeout: 90s }
  sticky_sessions: { enabled: true, idle_ttl_seconds: 900, key_sources: [session_header, prefix_hash] }
discovery:
  type: static
  model_discovery: { enabled: true, interval: 2m, timeout: 20s, concurrent_workers: 8, retry_backoff: 1s }
  static:
    endpoints:
      - { name: desk-ollama, url: "http://desk:11434", type: ollama, priority: 100 }
      - name: gpu-a
        url: "http://gpu-a:8000"
        type: vllm
        auth: { type: bearer, token: "${VLLM_KEY}" }
        model_filter: { exclude: ["*embed*"] }
      - name: gateway
        url: "https://llm.example.org/openai/v1"
        type: openai-compatible
        preserve_path: true
        health_check_url: "https://llm.example.org/openai/v1/models"
        check_interval: 120s
        check_timeout: 10s
        auth: { type: api_key, header: X-Api-Key, key_file: gateway }
        headers: { X-Tenant: "${TENANT:-lab}" }
model_aliases:
  coder: ["qwen2.5-coder:7b", "Qwen/Qwen2.5-Coder-7B-Instruct"]
logging: { level: info, format: json, output: stdout }
"""


def nested(path: str, value: Any) -> Any:
    """Return a document that has one key, by its dotted path, with what must stand beside it."""
    head, _, rest = path.partition(".")
    if head.endswith("[]"):
        inner: Any = {"url": "http://h", "name": "a", **nested(rest, value)}
        if rest == "auth.token":
            inner["auth"]["type"] = "bearer"
        if rest == "auth.type":
            inner["auth"]["token"] = "t"
        if rest == "auth.token_file":
            inner["auth"] = {"type": "bearer", "token_file": "token"}
        return {head[:-2]: [inner]}
    return {head: nested(rest, value) if rest else value}


def examples(key: dict[str, Any]) -> list[Any]:
    """Return the example values of one key; of lists that are cut short, the whole elements."""
    if key["types"] == ["str"]:
        return list(key["examples"])
    if key["types"] == ["list"]:
        lists = [(text, re.findall(r"'([^']*)'", text)) for text in key["examples"]]
        return [elements for text, elements in lists if elements or text == "[]"]
    return [ast.literal_eval(text) for text in key["examples"]]


class GoldenTests(LoadingTestCase):
    """Every key that published files carry."""

    def test_each_example(self) -> None:
        """Every key loads with each of its example values, and is known save one (K84)."""
        self.write("token", "t")
        variables = dict.fromkeys(("AUTH_TOKEN", "GROQ_API_KEY", "LMDEPLOY_API_KEY"), "t")
        for path, key in json.loads(GOLDEN.read_text()).items():
            for value in examples(key):
                beside = {"OLLA_SERVER_CORS_ALLOWED_ORIGINS": "http://a"} if "allow_credentials" in path else {}
                found = self.loaded(yaml.safe_dump(nested(path, value)), **variables, **beside)
                unknown = [w for w in found.warnings if "has no effect" in w.message]
                expected = ["server.rate_limits.per_endpoint"] if "per_endpoint" in path else []
                self.assertEqual([w.path for w in unknown], expected, path)


class CorpusTests(LoadingTestCase):
    """The verdicts of config-corpus.md §4 (K84)."""

    def test_refused(self) -> None:
        """What the reference refuses for good reason is refused here, naming the key."""
        for text, word in {
            ENDPOINTS % '{name: a, url: "http://h", auth: {type: bearer, token: "${NOPE}"}}': "NOPE",
            ENDPOINTS % '{name: a, url: "http://h", auth: {type: bearer, token_file: nope}}': "nope",
            "proxy: {engine: olla}\nproxy: {engine: sherpa}\n": "line 1 and line 2",
            ENDPOINTS % '{name: a, url: "http://h", check_interval: 10s, check_timeout: 10s}': "check_timeout",
            'a: "\\d"': "column",
            ENDPOINTS % "{name: a}": "url",
            ENDPOINTS % '{name: a, url: "http://u:p@h"}': "url",
            ENDPOINTS % '{name: a, url: "http://h", type: my-own}': "my-own",
        }.items():
            self.assertIn(word, self.refused(text))

    def test_accepted(self) -> None:
        """What the reference refuses or serves wrongly without need is served here."""
        many = ", ".join(f'{{name: e{i}, url: "http://h{i % 3}", type: vllm}}' for i in range(24))
        self.assertEqual(len(self.config(ENDPOINTS % many).discovery.static.endpoints), 24)
        for keys in ("check_timeout: 5s", "check_interval: 2s", "type: lmstudio", "name: ''"):
            self.endpoint(f'url: "http://h", {keys}')

    def test_sections_without_value(self) -> None:
        """A section with nothing in it is its defaults (config-corpus.md §1)."""
        names = ("server", "proxy", "discovery", "model_registry", "logging", "dashboard", "translators")
        found = self.loaded("".join(f"{name}:\n" for name in names))
        self.assertEqual((flat(found.config), found.warnings), (flat(self.config("")), ()))


class ExampleTests(LoadingTestCase):
    """The example of config.md §14."""

    def test_example(self) -> None:
        """It loads with its variable and secret file, and without the variable names it (K52)."""
        self.write("gateway", "k\n")
        found = self.loaded(EXAMPLE, VLLM_KEY="v")
        self.assertEqual(found.warnings, ())
        gateway = found.config.discovery.static.endpoints[2]
        assert gateway.auth is not None
        self.assertEqual((gateway.auth.value.reveal(), gateway.headers[0].value.reveal()), ("k", "lab"))
        self.assertEqual(gateway.model_url, "https://llm.example.org/openai/v1/models")
        said = self.refused(EXAMPLE)
        self.assertIn('"VLLM_KEY"', said)
        self.assertEqual(len(said.splitlines()), 1)


class SampleTests(LoadingTestCase):
    """``conf/olla.yaml``."""

    def test_is_the_defaults(self) -> None:
        """The sample loads without a warning and says what holds anyway (C128)."""
        sample = load(str(SAMPLE), environ={}, cwd=self.folder)
        self.assertEqual(sample.warnings, ())
        self.assertEqual(flat(sample.config), flat(self.config("")))

    def test_is_complete(self) -> None:
        """The sample has every key there is, save those that only old files should have, which the manual names."""
        reading = Reading()
        read_block(Config, None, "", reading)
        written = set(paths(yaml.safe_load(SAMPLE.read_text())))
        blocks = {path.rpartition(".")[0] for path in reading.paths}
        auth = {path for path in reading.paths if ".auth." in path or path.endswith(".auth")}
        self.assertEqual(reading.paths - blocks - written - auth, OLD_KEYS)
        manual = (SAMPLE.parent.parent / "docs" / "configuration.rst").read_text()
        for path in OLD_KEYS:
            self.assertIn(path.rpartition("[].")[2], manual)


def paths(document: Any, path: str = "") -> list[str]:
    """Return the dotted path of every key of a document, elements of lists as ``[]``."""
    found = []
    for name, value in document.items():
        inner = f"{path}.{name}".lstrip(".")
        found.append(inner)
        if isinstance(value, dict):
            found += paths(value, inner)
        for element in value if isinstance(value, list) else ():
            found += paths(element, f"{inner}[]") if isinstance(element, dict) else []
    return found
