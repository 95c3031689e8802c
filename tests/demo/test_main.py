"""One engine runs as a program of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from olla.demo.__main__ import listen
from tests.demo.support import CHAT, chat
from tests.network import Network
from tests.support import Client, request


class ListenTests(SynchronousTestCase):
    """The command line."""

    def test_arguments(self) -> None:
        """Dialect, port, pace and models are as given."""
        network = Network()
        arguments = ["--dialect", "openai", "--port", "8123", "--pace", "0", "--models", "demo-llama,two"]
        self.assertEqual(listen(arguments, network), 8123)
        client = Client()
        transport = network.connect(client, 8123)
        transport.write(request("POST", CHAT, chat()))
        network.pump()
        self.assertEqual(client.json["model"], "demo-llama")

    def test_defaults(self) -> None:
        """Without arguments it is Ollama's, on a free port."""
        network = Network()
        client = Client()
        transport = network.connect(client, listen([], network))
        transport.write(request("GET", "/api/tags"))
        network.pump()
        self.assertIn("llama-tiny:1b", [model["name"] for model in client.json["models"]])


class ProcessTests(SynchronousTestCase):
    """The real thing, on a real port of this machine."""

    def test_process(self) -> None:
        """It prints its port on a line, serves, and ends without complaint when told to terminate."""
        command = [sys.executable, "-m", "olla.demo", "--dialect", "openai"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self.addCleanup(process.kill)
            assert process.stdout is not None and process.stderr is not None
            port = int(process.stdout.readline())
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as response:
                self.assertEqual(json.load(response), {"status": "ok"})
            process.send_signal(signal.SIGTERM)
            self.assertEqual((process.wait(10), process.stderr.read()), (0, ""))
