from django.urls import path

from . import views

urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("<slug:slug>/", views.LiveblogView.as_view(), name="liveblog"),
    path("<slug:slug>/write/", views.write, name="write"),
]
