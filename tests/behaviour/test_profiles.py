"""What profiles, shipped ones and those of a folder, do to traffic."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import Backend, ProxyCase, answer, on_each_engine, says

OWN = """
name: house
routing: {prefixes: [house]}
api: {openai_compatible: true, paths: [/v1/chat/completions]}
metrics:
  extraction:
    enabled: true
    paths: {input_tokens: $.cost.in, output_tokens: $.cost.out, spent: $.cost.ms}
    calculations: {tokens_per_second: "output_tokens * 1000 / spent", dear: "spent > 100"}
"""


class Profiled(ProxyCase):
    """A proxy with a folder of profiles."""

    def start_with(self, profile: str, backend: Backend, **endpoint: str) -> None:
        """Start with this profile in a folder, and one endpoint ``a``."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Path(folder.name, "own.yaml").write_text(profile)
        self.start({"a": backend}, endpoint, profiles={"dir": folder.name})


@on_each_engine
class Measuring(Profiled):
    """Figures by paths and formulas of a profile."""

    def test_own(self) -> None:
        """A profile's own paths and formulas fill the lines of the log and the statistics (profiles.md §3, C124)."""
        backend = Backend(play=says(answer({"model": "m", "cost": {"in": 3, "out": 20, "ms": 400}})))
        self.start_with(OWN, backend, type="house")
        self.post("/olla/house/v1/chat/completions")
        (line,) = [record for record in self.records() if record["msg"] == "Provider metrics"]
        self.assertEqual((line["provider_prompt_tokens"], line["provider_tokens_per_second"]), (3, 50.0))
        self.assertEqual((line["spent"], line["dear"], line["total_tokens"]), (400, True, 23))
        (line,) = [record for record in self.records() if record["msg"] == "Request completed"]
        self.assertEqual((line["input_tokens"], line["tokens_per_sec"]), (3, 50.0))
        self.assertNotIn("spent", line)

    def test_secret_is_no_figure(self) -> None:
        """A path that leads to text shows the beginning of it at most, and the answer is not touched."""
        document = {"model": "m", "cost": {"in": 1, "out": 1, "ms": "x" * 5000}}
        self.start_with(OWN, Backend(play=says(answer(document))), type="house")
        client = self.post("/olla/house/v1/chat/completions")
        self.assertEqual(json.loads(client.body), document)
        self.assertLess(max(len(json.dumps(record)) for record in self.records()), 2000)
