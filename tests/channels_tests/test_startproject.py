import shutil
import sys
import tempfile

from django.test import SimpleTestCase

from .processes import ROOT, Process, start_project

# Serves a request with each of the two applications, then a socket.
DRIVER = """
import asyncio

from mysite import asgi

from channels_tests.connections import HttpClient, WebSocketClient

HEADERS = [(b"host", b"localhost")]


async def main():
    for application in asgi.application, asgi.channel_layer:
        client = HttpClient(application, headers=HEADERS)
        status, headers, body = await client.request()
        print("HTTP", status)
    client = WebSocketClient(asgi.application, "/", headers=HEADERS)
    print("answer", (await client.connect())["type"])
    await client.put("websocket.receive", text="hello")
    if {expects_echo}:
        print("echo", (await client.get())["text"])
    await client.disconnect()


asyncio.run(main())
"""


def uncomment(source):
    """Return Python source without the marks of its comments."""
    lines = []
    for line in source.splitlines(keepends=True):
        code = line.lstrip()
        if code.startswith("#"):
            indent = line[: -len(code)]
            line = indent + code[1:].removeprefix(" ")
        lines.append(line)
    return "".join(lines)


class StartProjectTests(SimpleTestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.package = start_project(self.directory)

    def drive(self, expects_echo):
        """Return what serving some connections with the project writes."""
        process = Process(
            [sys.executable, "-c", DRIVER.format(expects_echo=expects_echo)],
            cwd=self.directory,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        )
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(), 0, process.output)
        return process.output

    def test_files_compile(self):
        """Every generated file is Python."""
        names = ["__init__", "asgi", "routing", "settings", "urls", "wsgi"]
        paths = sorted(self.package.iterdir())
        self.assertEqual([path.stem for path in paths], names)
        for path in paths:
            compile(path.read_text(), path, "exec")

    def test_applications(self):
        """Both ASGI callables answer; workers cannot reach the memory layer."""
        output = self.drive(expects_echo=False)
        self.assertIn("HTTP 200\n", output)
        self.assertIn("HTTP 503\n", output)
        self.assertIn("answer websocket.accept\n", output)

    def test_routing_example(self):
        """The commented example, uncommented, sends back what a socket sends."""
        routing = self.package / "routing.py"
        source = uncomment(routing.read_text())
        self.assertNotIn("#", source)
        routing.write_text(source)
        self.assertIn("echo hello\n", self.drive(expects_echo=True))
