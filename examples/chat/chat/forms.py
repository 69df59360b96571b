from django import forms

from .models import Post


class RoomForm(forms.Form):
    room = forms.SlugField(
        max_length=50,
        widget=forms.TextInput(
            attrs={"placeholder": "kitchen", "autocapitalize": "none"}
        ),
    )


class PostForm(forms.ModelForm):
    class Meta:
        model = Post
        fields = ["name", "text"]
        widgets = {
            "name": forms.TextInput(
                attrs={"placeholder": "Name", "aria-label": "Your name"}
            ),
            "text": forms.TextInput(
                attrs={"placeholder": "Say something", "aria-label": "Your message"}
            ),
        }
