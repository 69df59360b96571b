from django.urls import path

from . import views

urlpatterns = [
    path("hello/", views.hello),
    path("echo/", views.echo),
    path("body/", views.body),
    path("read/", views.read),
    path("cookies/", views.cookies),
    path("redirect/", views.redirect),
    path("streaming/", views.streaming),
    path("async-streaming/", views.async_streaming),
    path("endless/", views.endless),
    path("file/", views.file),
    path("async/", views.async_view),
    path("error/", views.error),
]
