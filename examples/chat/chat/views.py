from django.db.models import Max
from django.shortcuts import redirect, render

from .forms import PostForm, RoomForm
from .models import Post


def index(request):
    form = RoomForm(request.GET or None)
    if form.is_valid():
        return redirect("room", room=form.cleaned_data["room"])
    rooms = Post.objects.values("room").annotate(latest=Max("id")).order_by("-latest")
    return render(request, "chat/index.html", {"form": form, "rooms": rooms[:20]})


def room(request, room):
    return render(request, "chat/room.html", {"form": PostForm(), "room": room})
