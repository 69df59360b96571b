from django.contrib.auth.decorators import permission_required
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import DetailView, ListView

from .forms import PostForm
from .models import Liveblog


class IndexView(ListView):
    """A list of all liveblogs."""

    model = Liveblog
    template_name = "liveblog/index.html"


class LiveblogView(DetailView):
    """The page of a liveblog; its posts come through its socket."""

    model = Liveblog
    template_name = "liveblog/liveblog.html"


@permission_required("liveblog.add_post")
def write(request, slug):
    """A page where an author writes a post."""
    liveblog = get_object_or_404(Liveblog, slug=slug)
    form = PostForm(request.POST or None)
    if form.is_valid():
        form.instance.liveblog = liveblog
        form.save()
        return redirect("write", slug)
    context = {"liveblog": liveblog, "form": form}
    return render(request, "liveblog/write.html", context)
