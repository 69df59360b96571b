"""The requests that are sent on every way; see test_http_answers.py."""

from dataclasses import dataclass, field

from django.test.client import encode_multipart

BOUNDARY = "BoUnDaRyStRiNg"
FORM = "application/x-www-form-urlencoded"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Request:
    """A request, the status of its answer, and how bodies are compared."""

    name: str
    path: str
    status: int = 200
    method: str = "GET"
    query: bytes = b""
    headers: list = field(default_factory=lambda: [("Host", "testserver")])
    body: bytes = b""
    scheme: str = "http"
    root_path: str = ""
    settings: dict = field(default_factory=dict)
    # Are bodies the same, or do they have these texts?
    same_body: bool = True
    texts: tuple = ()
    # Does upstream's ASGI handler answer as WSGI does?
    like_upstream: bool = True


def get(name, path, status=200, headers=(), **options):
    headers = [("Host", "testserver"), *headers]
    return Request(name, path, status, headers=headers, **options)


def post(name, path, body, content_type, status=200, headers=(), method="POST", **more):
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        *headers,
    ]
    return get(name, path, status, headers, body=body, method=method, **more)


def upload(name, path="/echo/", status=200, **options):
    return post(
        name, path, encode_multipart(BOUNDARY, options), MULTIPART, status=status
    )


def file(name, content, content_type="text/plain"):
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile(name, content, content_type)


def debug(name, path, status, *texts, same_body=False, **options):
    """Return a request for a page that is only shown with DEBUG."""
    return get(
        f"{name}, debug",
        path,
        status,
        settings={"DEBUG": True},
        same_body=same_body,
        texts=texts,
        **options,
    )


METHODS = [
    get("a GET", "/echo/"),
    get("a HEAD", "/text/", method="HEAD"),
    get("a HEAD of a file", "/file/", method="HEAD"),
    get("a DELETE", "/echo/", method="DELETE"),
    get("an OPTIONS", "/options/", method="OPTIONS"),
    get("an unknown method", "/echo/", method="BREW"),
    get("a method that a view does not have", "/options/", 405, method="PATCH"),
    get("a method that is not allowed", "/required/", 405),
    post("a PUT", "/options/", b"put", "text/plain", method="PUT"),
    post("a PATCH", "/body/", b"\x00\xff", "application/x", method="PATCH"),
]
PATHS = [
    get("a path of UTF-8", "/zwölf/"),
    get("converters", "/echo/12/a-b/"),
    get("a path within an include", "/included/echo/a/b%20c/"),
    get("encoded slashes and spaces", "/included/echo/a b/+//c"),
    get("a missing slash", "/echo", 301),
    get("a missing slash, with a query", "/echo", 301, query=b"a=1&b=%C3%A4"),
    get("double slashes", "//echo/", 404),
    get("a script name", "/echo/", root_path="/app"),
    get("a missing slash below a script name", "/echo", 301, root_path="/app"),
    get(
        "a forced script name",
        "/echo/",
        root_path="/forced",
        settings={"FORCE_SCRIPT_NAME": "/forced"},
    ),
    get("a query", "/echo/", query=b"a=1&a=2&b=&c&d=%20+%C3%A4"),
    get("a query of odd bytes", "/echo/", query=b"a=%FF&%F0%9F=%zz&;=1"),
    get("https", "/echo/", scheme="https"),
    get("https by redirect", "/text/", 301, settings={"SECURE_SSL_REDIRECT": True}),
]
HEADERS = [
    get(
        "repeated headers", "/echo/", headers=[("X-A", "1"), ("X-A", "2"), ("X-a", "")]
    ),
    get("headers of Latin-1", "/echo/", headers=[("X-A", "zw\xf6lf")]),
    get("cookies", "/echo/", headers=[("Cookie", 'a=1; b="x y"; c; d=%20; a=2')]),
    get(
        "cookies of UTF-8, and of what is none",
        "/echo/",
        headers=[("Cookie", "a=zw\xc3\xb6lf; b=\xe2\x98\x83; c=\xff; \xc3\xb6=1")],
        like_upstream=False,
    ),
    get("a language", "/echo/", headers=[("Accept-Language", "de;q=0.8,fr;q=0.9")]),
    get("another host", "/echo/", headers=[], settings={"ALLOWED_HOSTS": ["*"]}),
    Request("a port in the host", "/echo/", headers=[("Host", "a.example.com:81")]),
    Request("a host that is not allowed", "/echo/", 400, headers=[("Host", "evil")]),
    Request("a host that is none", "/echo/", 400, headers=[("Host", "a b")]),
    Request("no host", "/echo/", 400, headers=[]),
    get(
        "a forwarded host",
        "/echo/",
        headers=[("X-Forwarded-Host", "www.example.com")],
        settings={"USE_X_FORWARDED_HOST": True},
    ),
    get("headers of a response", "/headers/"),
    get("cookies of a response", "/cookies/"),
    get("a session", "/session/"),
    get("a message in a cookie", "/message/", 302),
    get("a header to vary on", "/varying/"),
]
BODIES = [
    post("a form", "/echo/", b"a=1&a=2&b=%C3%A4&c=+", FORM),
    post("a form of Latin-1", "/echo/", b"a=%F6", f"{FORM}; charset=latin-1", 400),
    post("an empty form", "/echo/", b"", FORM),
    post("JSON", "/load/", b'{"a": [1, null, "\xc3\xa4"]}', "application/json"),
    post("JSON that is none", "/load/", b"{", "application/json", 500),
    post("lines", "/read/", b"a\nb\r\nc", "text/plain"),
    post("bytes", "/body/", bytes(range(256)) * 10, "application/octet-stream"),
    post("a body of several messages", "/body/", b"x" * 150_000, "text/plain"),
    post("a body above Django's limit", "/body/", b"x" * 200_001, "text/plain", 400),
    post("too many fields", "/echo/", b"&".join([b"a=1"] * 60), FORM, 400),
    post("a content type that is odd", "/echo/", b"a=1", "TEXT/plain;a=b; c"),
    upload("an upload", a=file("zwölf.txt", b"content"), b="field"),
    upload("several uploads", a=[file("1", b"1"), file("2", b"2")], b=["x", "y"]),
    upload("a large upload", a=file("large", b"7" * 3_000_000)),
    post("an upload that is none", "/echo/", b"nothing", "multipart/form-data", 400),
    # Not a GET, whose ETag would be of the token's mask.
    post("a page for a form", "/form/", b"", FORM, method="PUT"),
    post("an upload cut off", "/echo/", b"--BoUnDaRyStRiNg\r\nCon", MULTIPART),
]
RESPONSES = [
    get("a text", "/text/"),
    get("a text of Latin-1", "/latin/"),
    get("a status", "/status/418/", 418),
    get("an unknown status", "/status/299/", 299),
    get("a reason", "/reason/", 299),
    get("no content", "/empty/", 204),
    get("a redirect", "/redirect/", 302),
    get("a permanent redirect", "/permanent/", 301),
    get("a stream", "/streaming/"),
    get("a stream of nothing", "/empty-stream/"),
    get("an asynchronous view", "/async/"),
    get("a file", "/file/"),
    get("a file to download", "/file/", query=b"attach"),
    get("a range of a file", "/file/", headers=[("Range", "bytes=0-9")]),
    get("a file in memory", "/memory-file/"),
    get("not modified", "/not-modified/", 304),
    get("a condition that holds", "/conditional/"),
    get("a tag", "/conditional/", 304, headers=[("If-None-Match", '"tag"')]),
    get("another tag", "/conditional/", 412, headers=[("If-Match", '"other"')]),
    get(
        "a time",
        "/conditional/",
        304,
        headers=[("If-Modified-Since", "Sat, 04 Jan 2020 00:00:00 GMT")],
    ),
    get("an asynchronous stream", "/async-streaming/"),
    get("a HEAD of a stream", "/streaming/", method="HEAD"),
]
ERRORS = [
    get("a missing page", "/nowhere/", 404),
    get("a missing object", "/missing/", 404),
    get("a forbidden page", "/forbidden/", 403),
    get("a bad request", "/bad/", 400),
    get("a suspicious request", "/suspicious/", 400),
    get("a broken view", "/broken/", 500),
    get("a broken asynchronous view", "/async-broken/", 500),
    get("a view that returns nothing", "/none/", 500),
    post("a form without a token", "/protected/", b"a=1", FORM, 403),
    post(
        "a form of another site",
        "/protected/",
        b"a=1",
        FORM,
        403,
        headers=[("Origin", "https://evil.test"), ("Cookie", "csrftoken=" + "a" * 32)],
    ),
    debug("a missing page", "/nowhere/", 404, b"Page not found", b"nowhere/"),
    debug("a missing object", "/missing/", 404, b"It is not here."),
    debug("a forbidden page", "/forbidden/", 403, same_body=True),
    debug("a bad request", "/bad/", 400, b"It is bad.", b"BadRequest"),
    debug("a broken view", "/broken/", 500, b"It is broken.", b"ValueError"),
    debug("a host that is not allowed", "/echo/", 200, same_body=True),
]
GZIP = [("Accept-Encoding", "gzip, deflate")]
COMPRESSED = [
    get("a compressed text", "/text/", headers=GZIP),
    get("a compressed text of its view", "/compressible/", headers=GZIP),
    get("a compressed stream", "/streaming/", headers=GZIP),
    get("a compressed asynchronous stream", "/async-streaming/", headers=GZIP),
    get("a compressed file", "/file/", headers=GZIP),
    get("a text too short to compress", "/status/200/", headers=GZIP),
]
REQUESTS = [*METHODS, *PATHS, *HEADERS, *BODIES, *RESPONSES, *ERRORS, *COMPRESSED]
