"""
What views answer, byte for byte, on every way that a request can take.

The same requests go through WSGI, upstream's ASGI handler, a bus with workers
behind an ASGI server, a bus behind a WSGI server, and the server's own process.
"""

import io
import logging
import re
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from asgiref.sync import async_to_sync

from django.channels.asgi import get_development_application
from django.channels.interface.application import get_bus_application
from django.channels.interface.wsgi import WsgiApplication
from django.channels.worker import WorkerGroup
from django.core import signing
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.middleware.gzip import GZipMiddleware
from django.test import SimpleTestCase, override_settings
from django.test.utils import ignore_warnings
from django.urls import clear_script_prefix

from .answer_requests import REQUESTS
from .connections import HttpClient
from .layers import SpanningLayer, default_layer, make_layer
from .utils import TIMEOUT

MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
UPSTREAM = "upstream's ASGI"
# What is different each time, in headers and in bodies.
DATES = re.compile(rb"\w{3}, \d\d[ -]\w{3}[ -]\d{4} \d\d:\d\d:\d\d GMT")
TOKENS = re.compile(rb"(csrftoken=|sessionid=|value=\")[\w:-]{20,}")
SIGNED = re.compile(rb":\w{6}:[\w-]{43}")  # A second, and a signature over it.


class Answer:
    """A response as a client sees it: its status, its headers in order, its body."""

    def __init__(self, request, status, headers, body):
        if request.method == "HEAD":
            # Servers leave it out, and so does the interface.
            body = b""
        self.status = status
        self.headers = [(n, _normalize(v.strip())) for n, v in headers]
        self.body = _normalize(body)

    def parts(self):
        return self.status, self.headers, self.body


def _normalize(data):
    data = SIGNED.sub(b":SIGNED", DATES.sub(b"DATE", data))
    return TOKENS.sub(rb"\1TOKEN", data)


class Ways:
    """The ways of a request; each is a function that returns its Answer."""

    def __init__(self, stack):
        layer = make_layer(layer_class=SpanningLayer, capacity=1000)
        workers = WorkerGroup(layer, n_threads=1)
        workers.start()
        stack.callback(workers.stop, TIMEOUT)
        stack.callback(layer.close)
        stack.enter_context(default_layer())
        here = get_development_application()
        stack.callback(here.stop, TIMEOUT)
        bus = get_bus_application(layer)
        wsgi_bus = WsgiApplication(layer)
        self.reference = lambda request: call_wsgi(WSGIHandler(), request)
        self.others = {
            UPSTREAM: lambda request: call_asgi(ASGIHandler(), request),
            "bus": lambda request: call_asgi(bus, request),
            "bus behind WSGI": lambda request: call_wsgi(wsgi_bus, request),
            "in process": lambda request: call_asgi(here, request),
        }


def call_wsgi(application, request):
    """Return a WSGI application's Answer."""
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": request.root_path,
        "PATH_INFO": request.path.encode().decode("latin1"),
        "QUERY_STRING": request.query.decode("latin1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.url_scheme": request.scheme,
        "wsgi.errors": io.StringIO(),
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    started = []
    response = application(environ, lambda *args: started.extend(args))
    try:
        body = b"".join(response)
    finally:
        getattr(response, "close", int)()
    headers = [(n.encode("latin1"), v.encode("latin1")) for n, v in started[1]]
    return Answer(request, int(started[0].split()[0]), headers, body)


@async_to_sync
async def call_asgi(application, request):
    """Return an ASGI application's Answer."""
    client = HttpClient(
        application,
        request.root_path + request.path,
        request.method,
        query_string=request.query,
        headers=[
            (name.lower().encode("latin1"), value.encode("latin1"))
            for name, value in request.headers
        ],
        scheme=request.scheme,
        root_path=request.root_path,
    )
    await client.put("http.request", body=request.body, more_body=False)
    start = await client.get()
    parts = []
    while True:
        event = await client.get()
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            break
    await client.ended()
    return Answer(request, start["status"], start["headers"], b"".join(parts))


@override_settings(
    ROOT_URLCONF="channels_tests.answer_urls",
    ALLOWED_HOSTS=["testserver", ".example.com"],
    MIDDLEWARE=MIDDLEWARE,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SECRET_KEY="answers",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": []},
        }
    ],
    DATA_UPLOAD_MAX_MEMORY_SIZE=200_000,
    DATA_UPLOAD_MAX_NUMBER_FIELDS=50,
    DEFAULT_EXCEPTION_REPORTER_FILTER=(
        "django.views.debug.SafeExceptionReporterFilter"
    ),
)
class AnswerTests(SimpleTestCase):
    def setUp(self):
        stack = ExitStack()
        self.addCleanup(stack.close)
        # WSGI leaves it to the thread.
        stack.callback(clear_script_prefix)
        self.ways = Ways(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "digits.txt"
        file.write_bytes(b"0123456789" * 20_000)
        stack.enter_context(override_settings(MEDIA_ROOT=str(folder)))
        # No random bytes against BREACH.
        stack.enter_context(patch.object(GZipMiddleware, "max_random_bytes", 0))
        # What is signed has the time, and a way may take longer than a second.
        clock = SimpleNamespace(time=partial(int, time.time()))
        stack.enter_context(patch.object(signing, "time", clock))
        # Many are errors, which Django logs on purpose.
        stack.callback(logging.disable, logging.NOTSET)
        logging.disable(logging.CRITICAL)

    @ignore_warnings(message="StreamingHttpResponse must consume", category=Warning)
    def test_every_way_gives_the_answer_of_wsgi(self):
        self.assertGreaterEqual(len(REQUESTS), 60)
        for request in REQUESTS:
            with override_settings(**request.settings), ExitStack() as stack:
                # Handlers read settings when they are made.
                ways = Ways(stack) if request.settings else self.ways
                with self.subTest(request=request.name):
                    expected = ways.reference(request)
                    self.assertEqual(expected.status, request.status)
                for name, way in ways.others.items():
                    if name == UPSTREAM and not request.like_upstream:
                        continue
                    with self.subTest(request=request.name, way=name):
                        self.assertSame(way(request), expected, request)

    def assertSame(self, answer, expected, request):
        if request.same_body:
            self.assertEqual(answer.parts(), expected.parts())
        else:
            self.assertSimilar(answer, expected, request)

    def assertSimilar(self, answer, expected, request):
        """Compare debug pages, which show where they were made and when."""

        def headers(answer):
            of_body = b"Content-Length", b"ETag"
            return [header for header in answer.headers if header[0] not in of_body]

        self.assertEqual(answer.status, expected.status)
        self.assertEqual(headers(answer), headers(expected))
        for text in request.texts:
            self.assertIn(text, answer.body)
            self.assertIn(text, expected.body)
