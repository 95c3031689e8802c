"""Tests of :mod:`olla.web.version`."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.web.version import CAPABILITIES, Build, version_page
from tests.golden.shape import HERE, page

LINKS = {"homepage": "http://h/", "documentation": "http://d/", "releases": "http://r/"}


class VersionTests(SynchronousTestCase):
    """What we are."""

    def setUp(self) -> None:
        """Make the page."""
        self.page = version_page(Build("v0.1.0"), CAPABILITIES, LINKS, {})
        self.value: dict[str, Any] = json.loads(self.page.body)

    def test_shape(self) -> None:
        """The page looks as clients know it, and has the lists that they look into (§11.3)."""
        headers = {name.decode(): value.decode() for name, value in self.page.fields}
        self.assertEqual(page("version", self.page.status, headers, self.page.body), [])
        golden = json.loads((HERE / "version.json").read_text("utf-8"))["values"]
        for name in ("capabilities", "supported_backends"):
            self.assertEqual(self.value[name], golden[name])
        self.assertEqual(self.value["api"]["endpoints"], golden["api.endpoints"])

    def test_build(self) -> None:
        """The build tells of interpreter and framework, and says so where nothing was stamped (§11.3)."""
        build = self.value["build"]
        self.assertEqual((build["commit"], build["date"]), ("none", "unknown"))
        self.assertRegex(build["python_version"], r"^3\.\d+\.\d+")
        self.assertTrue(build["go_version"].endswith(build["python_version"]))
        self.assertIn("twisted_version", build)

    def test_not_stored(self) -> None:
        """Nobody keeps the page (§11.1)."""
        self.assertIn((b"Cache-Control", b"no-store"), self.page.fields)
