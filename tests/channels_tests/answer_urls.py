"""The views that every way of a request is compared with; see answer_requests.py."""

import datetime
import io
import json
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.urls import include, path, re_path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_POST
from django.views.decorators.vary import vary_on_headers
from django.views.generic import View


@csrf_exempt
def echo(request, **kwargs):
    """Return what arrived, in the order in which Django has it."""
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "path_info": request.path_info,
            "full_path": request.get_full_path(),
            "uri": request.build_absolute_uri(),
            "script_name": request.META["SCRIPT_NAME"],
            "scheme": request.scheme,
            "secure": request.is_secure(),
            "host": request.get_host(),
            "port": request.get_port(),
            "remote": request.META["REMOTE_ADDR"],
            "content_type": request.content_type,
            "content_params": request.content_params,
            "headers": dict(sorted(request.headers.items())),
            "get": dict(request.GET.lists()),
            "post": dict(request.POST.lists()),
            "cookies": request.COOKIES,
            "files": {
                name: [
                    (f.name, f.size, f.content_type, type(f).__name__, f.read(20).hex())
                    for f in files
                ]
                for name, files in request.FILES.lists()
            },
            "kwargs": kwargs,
            "language": request.LANGUAGE_CODE,
        }
    )


@csrf_exempt
def body(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


@csrf_exempt
def read(request):
    return HttpResponse([line for line in request])


@csrf_exempt
def load(request):
    return JsonResponse(json.loads(request.body))


def text(request):
    return HttpResponse("zwölf ☃ " * 100)


def latin(request):
    return HttpResponse("zwölf", content_type="text/plain; charset=latin-1")


def cookies(request):
    response = HttpResponse("cookies")
    response.set_cookie("a", "1", max_age=60, path="/a", httponly=True, samesite="Lax")
    response.set_cookie("b", "zwölf", secure=True, domain="example.com")
    response.set_signed_cookie("c", "signed", salt="fixed")
    response.delete_cookie("d")
    return response


def session(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return HttpResponse(request.session["seen"])


def message(request):
    messages.info(request, "A message.")
    return HttpResponseRedirect("/echo/")


def headers(request):
    response = HttpResponse("headers")
    response["X-Latin"] = "zwölf"
    response["x-lower"] = "1"
    response["X-UPPER"] = "2"
    response.headers["X-Empty"] = ""
    response["X-Mime"] = "☃"
    return response


def status(request, code):
    return HttpResponse(f"status {code}", status=code)


def reason(request):
    return HttpResponse("reason", status=299, reason="Special")


def empty(request):
    return HttpResponse(status=204)


def redirect(request):
    return HttpResponseRedirect("/zwölf/?a=ü")


def permanent(request):
    return HttpResponsePermanentRedirect("https://example.com/")


def not_modified(request):
    return HttpResponseNotModified()


def modified_at(request):
    return datetime.datetime(2020, 1, 2, 3, 4, 5)


@condition(etag_func=lambda request: '"tag"', last_modified_func=modified_at)
def conditional(request):
    return HttpResponse("conditional")


def streaming(request):
    return StreamingHttpResponse(f"part {n}, " for n in range(50))


def empty_stream(request):
    return StreamingHttpResponse(iter(()))


async def async_streaming(request):
    async def parts():
        for n in range(50):
            yield f"part {n}, "

    return StreamingHttpResponse(parts())


async def async_view(request):
    return JsonResponse({"async": request.method})


def file(request):
    name = Path(settings.MEDIA_ROOT) / "digits.txt"
    return FileResponse(name.open("rb"), as_attachment="attach" in request.GET)


def memory_file(request):
    return FileResponse(io.BytesIO(b"in memory"), filename="zwölf.bin")


@gzip_page
def compressible(request):
    return HttpResponse("a" * 1000, content_type="text/plain")


@never_cache
@vary_on_headers("X-A", "Cookie")
def varying(request):
    return HttpResponse("varying")


@csrf_exempt
def form(request):
    return HttpResponse(f'<input value="{get_token(request)}">')


def protected(request):
    return HttpResponse("passed")


class Options(View):
    def get(self, request):
        return HttpResponse("got")

    def put(self, request):
        return HttpResponse(request.read())


def missing(request):
    raise Http404("It is not here.")


def forbidden(request):
    raise PermissionDenied("It is forbidden.")


def bad(request):
    raise BadRequest("It is bad.")


def suspicious(request):
    raise SuspiciousOperation("It is suspicious.")


def broken(request):
    raise ValueError("It is broken.")


async def async_broken(request):
    raise ValueError("It is broken, too.")


def none(request):
    return None


urlpatterns = [
    path("echo/", echo),
    path("echo/<int:number>/<slug:word>/", echo),
    re_path(r"^zw(?P<letter>.)lf/$", echo),
    path("included/", include([path("echo/<path:rest>", echo)])),
    path("body/", body),
    path("read/", read),
    path("load/", load),
    path("text/", text),
    path("latin/", latin),
    path("cookies/", cookies),
    path("session/", session),
    path("message/", message),
    path("headers/", headers),
    path("status/<int:code>/", status),
    path("reason/", reason),
    path("empty/", empty),
    path("redirect/", redirect),
    path("permanent/", permanent),
    path("not-modified/", not_modified),
    path("conditional/", conditional),
    path("streaming/", streaming),
    path("empty-stream/", empty_stream),
    path("async-streaming/", async_streaming),
    path("async/", async_view),
    path("file/", file),
    path("memory-file/", memory_file),
    path("compressible/", compressible),
    path("varying/", varying),
    path("form/", form),
    path("protected/", protected),
    path("required/", require_POST(protected)),
    path("options/", csrf_exempt(Options.as_view())),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("bad/", bad),
    path("suspicious/", suspicious),
    path("broken/", broken),
    path("async-broken/", async_broken),
    path("none/", none),
]
