"""``${NAME}`` in values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from olla.config.placeholders import expand
from tests.config.loading import LoadingTestCase


class ExpandTests(SynchronousTestCase):
    """Filling in."""

    def test_forms(self) -> None:
        """A default takes the place of what is unset or empty; a bare name only of what is set (K11)."""
        environ = {"A": "v", "E": ""}
        written = {"${A:-x}": "v", "${E:-x}": "x", "${N:-x}": "x", "${N:-}": "", "${A}-${E}-": "v--"}
        for text, expected in written.items():
            self.assertEqual(expand(text, environ).text, expected)

    def test_literal(self) -> None:
        """Dollars that are no placeholder stay (K13, K63)."""
        for text in ("cost is $5", "$A", "${}", "a$", "${A"):
            self.assertEqual(expand(text, {"A": "v"}).text, text)

    def test_missing(self) -> None:
        """Each name that is not set is told once."""
        self.assertEqual(expand("${B}${C}${B}", {}).missing, ("B", "C"))

    def test_malformed(self) -> None:
        """One inside another, a blank or a dash in the name are refused (K63)."""
        for text in ("${A:-${B}}", "${A-x}", "${ A }", "${1}"):
            self.assertTrue(expand(text, {"A": "v"}).malformed, text)


class PlaceTests(LoadingTestCase):
    """Where they are filled in."""

    def test_everywhere(self) -> None:
        """A placeholder works in any value, and a number, truth or duration is read as if written plain."""
        text = 'server: {host: "${H}", port: "${P}", read_timeout: "${T}", request_logging: "${L}"}'
        server = self.config(text, H="h", P="8080", T="5s", L="false").server
        found = (server.host, server.port, server.read_timeout, server.request_logging)
        self.assertEqual(found, ("h", 8080, 5.0, False))
        self.assertEqual(self.endpoint('url: "http://${GPU}:8000"', GPU="gpu").url, "http://gpu:8000")

    def test_text_stays(self) -> None:
        """What is filled into a text is that text, also an empty one or ``null``; elsewhere empty is the default."""
        endpoint = self.endpoint('url: "http://h", name: "${N}", headers: {A: "${N}", B: "${E}"}', N="null", E="")
        self.assertEqual(endpoint.name, "null")
        self.assertEqual([header.value.reveal() for header in endpoint.headers], ["null", ""])
        self.assertEqual(self.config('server: {port: "${P:-}"}').server.port, 40114)
        said = self.refused_endpoint('url: "http://h", name: a, auth: {type: bearer, token: "${E}"}', E="")
        self.assertIn('auth.token: endpoint "a": is empty', said)

    def test_missing_names_all(self) -> None:
        """A variable that is not set stops the start, naming endpoint, header and variable alone (K12)."""
        said = self.refused_endpoint('name: gpu, url: "http://h", headers: {X-T: "hunter2 ${MISSING}"}')
        for word in ('endpoint "gpu"', "headers.X-T", '"MISSING"'):
            self.assertIn(word, said)
        self.assertNotIn("hunter2", said)

    def test_malformed_hides(self) -> None:
        """The hint on a malformed placeholder shows nothing of the text (K63)."""
        said = self.refused_endpoint('name: a, url: "http://h", headers: {X: "hunter2${A:-${B}}"}')
        self.assertIn("a placeholder must be", said)
        self.assertNotIn("hunter2", said)

    def test_value_of_a_variable_is_not_shown(self) -> None:
        """When what a placeholder brings in cannot be read, the message shows the placeholder."""
        said = self.refused('server: {port: "${P}"}', P="hunter2")
        self.assertIn("${P}", said)
        self.assertNotIn("hunter2", said)
