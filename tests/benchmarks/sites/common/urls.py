"""The URLs of both sides."""

from django.urls import path

from .views import hello, wait

urlpatterns = [path("hello/", hello), path("wait/", wait)]
