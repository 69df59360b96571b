"""Views that the tests of the view consumer and of servers request."""

import asyncio
import tempfile

from django.channels import Channel
from django.channels.exceptions import ResponseLater
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.csrf import csrf_exempt


def hello(request):
    return HttpResponse("hello")


@csrf_exempt
def echo(request):
    """Return what arrived of a request."""
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "path_info": request.path_info,
            "scheme": request.scheme,
            "host": request.get_host(),
            "get": request.GET,
            "post": request.POST,
            "cookies": request.COOKIES,
            "remote": request.META.get("REMOTE_ADDR"),
            "files": {
                name: [file.name, file.size, type(file).__name__]
                for name, file in request.FILES.items()
            },
        }
    )


@csrf_exempt
def body(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


@csrf_exempt
def read(request):
    """Read the body as a stream, which no limit of Django's applies to."""
    size = sum(len(part) for part in iter(lambda: request.read(65536), b""))
    return HttpResponse(size)


def cookies(request):
    response = HttpResponse("cookies")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "zwölf")
    return response


def redirect(request):
    return HttpResponseRedirect("/hello/")


def streaming(request):
    return StreamingHttpResponse(str(number) for number in range(10))


async def async_streaming(request):
    async def numbers():
        for number in range(10):
            await asyncio.sleep(0)
            yield str(number)

    return StreamingHttpResponse(numbers())


def endless(request):
    """Stream until the client goes, and then tell ``endless.closed``."""

    def parts():
        try:
            while True:
                yield b"x" * 65536
        finally:
            endless.closed.set()

    return StreamingHttpResponse(parts())


async def patient(request):
    """Stream a part, and wait for ever; tell ``patient.closed`` at the end."""

    async def parts():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            patient.closed.set()

    return StreamingHttpResponse(parts())


def later(request):
    """Have somebody else answer, who gets the reply channel."""
    Channel("later").send({"reply_channel": request.reply_channel.name})
    raise request.ResponseLater


async def async_later(request):
    raise ResponseLater


def sends_and_fails(request):
    Channel("later").send({"reply_channel": request.reply_channel.name})
    raise Http404("This view is not found after all.")


def file(request):
    content = tempfile.TemporaryFile()
    content.write(b"0123456789" * 20_000)
    content.seek(0)
    return FileResponse(content, filename="digits.txt", as_attachment=True)


async def async_view(request):
    return HttpResponse("async")


def error(request):
    raise ValueError("This view is broken.")
