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
    path("patient/", views.patient),
    path("later/", views.later),
    path("async-later/", views.async_later),
    path("sends-and-fails/", views.sends_and_fails),
    path("file/", views.file),
    path("async/", views.async_view),
    path("error/", views.error),
]
