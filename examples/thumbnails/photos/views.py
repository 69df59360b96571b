from django.shortcuts import get_object_or_404, redirect, render

from .forms import PhotoForm
from .models import WIDTHS, Photo


def index(request):
    """Take a photo, and go on to its page. Thumbnails are made for that page."""
    form = PhotoForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        return redirect("photo", pk=form.save().pk)
    photos = Photo.objects.order_by("-pk")[:20]
    return render(request, "photos/index.html", {"form": form, "photos": photos})


def photo(request, pk):
    """Show a photo's page, which gets its thumbnails through a socket."""
    photo = get_object_or_404(Photo, pk=pk)
    return render(request, "photos/photo.html", {"photo": photo, "widths": WIDTHS})
