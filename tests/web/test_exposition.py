"""The text format of Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from olla.telemetry.tally import Histogram
from olla.web.exposition import Exposition, number


class Expositions(SynchronousTestCase):
    """What is written can be read by others."""

    def setUp(self) -> None:
        self.out = Exposition()

    def test_numbers(self) -> None:
        """Whole figures have no point, others at most six decimals and none in vain (http-api.md §12)."""
        figures = (3, 0, -2, 2.0, 0.25, 1 / 3, 1e9)
        self.assertEqual(" ".join(map(number, figures)), "3 0 -2 2 0.25 0.333333 1000000000")

    def test_labels(self) -> None:
        """Quotes, backslashes and line feeds in a label come back as they were (C93)."""
        name = 'a"b\\c\nd'
        self.out.family("olla_model_requests_total", "counter", "Requests", [({"model": name}, 3)])
        [family] = text_string_to_metric_families(self.out.text().decode())
        self.assertEqual([(s.labels, s.value) for s in family.samples], [({"model": name}, 3.0)])

    def test_half_a_surrogate_pair(self) -> None:
        """A name that UTF-8 has no bytes for does not break the page."""
        self.out.family("olla_x", "gauge", "X", [({"model": "\ud800"}, 1)])
        self.assertIn(b'olla_x{model="?"} 1\n', self.out.text())

    def test_no_series_twice(self) -> None:
        """Of two endpoints of one name counters are added up, and of gauges the larger counts (C90)."""
        twice = [({"endpoint": "a"}, 2), ({"endpoint": "a"}, 5), ({"endpoint": "b"}, None)]
        self.out.family("olla_requests_total", "counter", "Requests", twice)
        self.out.family("olla_priority", "gauge", "Priority", twice)
        self.assertEqual(
            self.out.text().decode().splitlines(),
            [
                "# HELP olla_requests_total Requests",
                "# TYPE olla_requests_total counter",
                'olla_requests_total{endpoint="a"} 7',
                "# HELP olla_priority Priority",
                "# TYPE olla_priority gauge",
                'olla_priority{endpoint="a"} 5',
            ],
        )

    def test_nothing_to_say(self) -> None:
        """A family without a sample is not mentioned (http-api.md §12)."""
        self.out.one("olla_success_rate_percent", "gauge", "Successes", None)
        self.out.histogram("olla_wait_seconds", "Wait", [({}, Histogram((1.0,)))])
        self.assertEqual(self.out.text(), b"")

    def test_histogram(self) -> None:
        """Buckets are cumulative, the last is all of them, and sum and count follow."""
        histogram = Histogram((0.05, 1.0))
        for seconds in (0.01, 0.5, 0.05, 7.0):
            histogram.add(seconds)
        self.out.histogram("olla_wait_seconds", "Wait", [({"endpoint": "a"}, histogram)])
        [family] = text_string_to_metric_families(self.out.text().decode())
        self.assertEqual(family.type, "histogram")
        self.assertEqual(
            [(s.name[18:], s.labels.get("le"), s.value) for s in family.samples],
            [("bucket", "0.05", 2), ("bucket", "1", 3), ("bucket", "+Inf", 4), ("sum", None, 7.56), ("count", None, 4)],
        )
