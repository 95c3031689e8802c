"""Figures for Prometheus and of sessions and translators, after traffic of every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.golden.shape import HERE
from tests.golden.shape import page as problems
from tests.support import SSE, Backend, Client, ProxyCase, answer, chunk, on_each_engine, says

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
NAME = 'we"ird\\model'


@on_each_engine
class Metrics(ProxyCase):
    """The page."""

    def setUp(self) -> None:
        super().setUp()
        self.good = Backend(models=("m", NAME), play=says(answer({"model": "m", "usage": USAGE})))
        self.start({"a": self.good, "dead": None}, proxy={"sticky_sessions": {"enabled": True}})
        self.network.wait(3.0)  # a refused check is tried again before it counts

    def chat(self, model: str = "m", **body: Any) -> Client:
        """Have one request answered."""
        return self.post(body={"model": model, **body}, X_Olla_Session_ID="s")

    def lines(self) -> list[str]:
        """Read the page."""
        client = self.get("/internal/metrics")
        self.assertEqual(client.status, 200)
        self.assertEqual(client.field("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(client.field("Cache-Control"), "no-store")
        return client.body.decode().splitlines()

    def value(self, series: str) -> str | None:
        """Give the figure of one series."""
        return next((line.rpartition(" ")[2] for line in self.lines() if line.rpartition(" ")[0] == series), None)

    def test_format(self) -> None:
        """Each family is in one piece after its type, no series comes twice, every line is well-formed (C90, C93)."""
        self.chat()
        self.chat(NAME)
        lines = self.lines()
        golden = json.loads((HERE / "internal-metrics.json").read_text())
        well_formed = re.compile(golden["line"][3:].replace("[a-z]+=", "[a-z_]+="))
        self.assertEqual([line for line in lines if not well_formed.fullmatch(line)], [])
        begun = [line.split(" ")[2] for line in lines if line.startswith("# TYPE ")]
        self.assertEqual(len(begun), len(set(begun)))
        series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
        self.assertEqual(len(series), len(set(series)))
        current = ""
        for line in lines:
            if line.startswith("#"):
                current = line.split(" ")[2]
            else:
                self.assertTrue(line.startswith(current), f"{line} under {current}")
        families = text_string_to_metric_families("\n".join(lines) + "\n")
        models = {sample.labels.get("model") for family in families for sample in family.samples}
        self.assertIn(NAME, models)

    def test_families(self) -> None:
        """Every family of the original is there with its type and its labels in their order (http-api.md §12)."""
        self.chat()
        lines = self.lines()
        for family in json.loads((HERE / "internal-metrics.json").read_text())["families"]:
            name = family["name"]
            self.assertIn(f"# TYPE {name} {family['type']}", lines)
            sample = next(line for line in lines if line.startswith((f"{name} ", f"{name}{{")))
            self.assertEqual(re.findall(r'([a-z_]+)="', sample), family["labels"], name)

    def test_documented(self) -> None:
        """The manual names every family that there is, with its type (docs/metrics.rst)."""
        self.chat()
        manual = (Path(__file__).parents[2] / "docs" / "metrics.rst").read_text()
        for line in self.lines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertIn(f"   * - ``{name}``\n     - {kind}\n", manual)

    def test_agrees_with_status(self) -> None:
        """The number of requests is that of the status page, and does not fall (C91, C92)."""
        before = 0
        for _ in range(3):
            self.chat()
            told = self.get("/internal/status").json["system"]["total_requests"]
            self.assertEqual(self.value("olla_requests_total"), str(told))
            self.assertGreater(told, before)
            before = told

    def test_tokens_and_times(self) -> None:
        """Tokens are counted by direction, and a stream's first token and pace are measured (issue 5)."""
        self.chat()
        self.assertEqual(self.value('olla_tokens_total{model="m",direction="input"}'), "5")
        self.assertEqual(self.value('olla_tokens_total{model="m",direction="output"}'), "3")
        self.assertIsNone(self.value('olla_time_to_first_token_seconds_count{model="m"}'))
        self.good.play = says(SSE)
        client = self.chat(stream=True)
        [connection] = self.good.connections[-1:]
        self.network.wait(0.3, 0.1)
        connection.transport.write(chunk(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'))
        self.network.pump()
        self.network.wait(0.4, 0.1)
        end = b'data: {"usage": %b}\n\ndata: [DONE]\n\n' % json.dumps(USAGE).encode()
        connection.transport.write(chunk(end) + b"0\r\n\r\n")
        self.network.pump()
        self.assertTrue(client.whole)
        self.assertEqual(self.value('olla_time_to_first_token_seconds_bucket{model="m",le="0.25"}'), "0")
        self.assertEqual(self.value('olla_time_to_first_token_seconds_bucket{model="m",le="0.5"}'), "1")
        self.assertEqual(self.value('olla_inter_token_seconds_sum{model="m"}'), "0.2")
        self.assertEqual(self.value('olla_request_duration_seconds_count{endpoint="a"}'), "2")

    def test_endpoints(self) -> None:
        """A dead endpoint is shown down, each status has its own series and one of them is 1."""
        self.assertEqual(self.value('olla_endpoint_up{endpoint="a",status="healthy"}'), "1")
        self.assertEqual(self.value('olla_endpoint_up{endpoint="dead",status="offline"}'), "0")
        states = [line for line in self.lines() if line.startswith('olla_endpoint_status{endpoint="dead"')]
        self.assertEqual(len(states), 8)
        self.assertEqual([line for line in states if line.endswith(" 1")], [states[5]])
        self.assertEqual(self.value("olla_endpoints_healthy"), "1")

    def test_responses(self) -> None:
        """Answers are counted by class and surface, refusals too."""
        self.chat()
        self.assertEqual(self.chat("nobody has this").status, 404)
        self.assertEqual(self.value('olla_http_responses_total{class="2xx",surface="proxy"}'), "1")
        self.assertEqual(self.value('olla_http_responses_total{class="4xx",surface="proxy"}'), "1")
        self.assertEqual(self.value('olla_sticky_total{outcome="miss"}'), "1")

    def test_compressed(self) -> None:
        """A scraper that takes gzip gets it (http-api.md §11.1)."""
        client = self.get("/internal/metrics", Accept_Encoding="gzip")
        self.assertEqual(client.field("Content-Encoding"), "gzip")
        self.assertEqual(client.fields("Vary"), ["Accept-Encoding"])

    def test_sessions(self) -> None:
        """The page of sessions has the original's shape, tells hits from misses, and says when there are none."""
        self.chat()
        self.chat()
        client = self.get("/internal/stats/sticky")
        self.assertEqual(problems("internal-stats-sticky", client.status, headers_of(client), client.body), [])
        told = client.json
        self.assertEqual((told["active_sessions"], told["insertions"], told["misses"], told["hits"]), (1, 1, 1, 1))
        self.assertEqual((told["max_sessions"], told["idle_ttl_seconds"], told["repins"]), (10000, 600, 0))
        self.stop()
        self.setUp_without_sessions()
        self.assertEqual(self.get("/internal/stats/sticky").json, {"enabled": False})
        self.assertIsNone(self.value('olla_sticky_total{outcome="miss"}'))

    def setUp_without_sessions(self) -> None:
        """Begin again, with sessions switched off."""
        super().setUp()
        self.start({"a": self.good})

    def test_translators(self) -> None:
        """A translator that is switched on is listed before its first request, and a refused one fails (§11.8)."""
        client = self.get("/internal/stats/translators")
        self.assertEqual(problems("internal-stats-translators", client.status, headers_of(client), client.body), [])
        [row] = client.json["translators"]
        self.assertEqual((row["translator_name"], row["total_requests"], row["success_rate"]), ("anthropic", 0, "0%"))
        self.post("/olla/anthropic/v1/messages", b"{}")
        told = self.get("/internal/stats/translators").json
        self.assertEqual(told["summary"]["total_translations"], 1)
        self.assertEqual(told["translators"][0]["failed_requests"], 1)


def headers_of(client: Client) -> dict[str, str]:
    """Give the fields of the response as a mapping."""
    lines = client.head.decode("latin-1").split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)
