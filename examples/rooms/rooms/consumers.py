import json

from django.channels.exceptions import DenyConnection
from django.channels.generic.websockets import JsonWebsocketConsumer

from .models import Room

# Characters of what is said at a time.
TEXT_LENGTH = 1000


class ClientError(Exception):
    """Raised for what a page must not ask for; the page is told."""


class RoomsConsumer(JsonWebsocketConsumer):
    """
    The socket of a page, which may be in several rooms at a time.

    A page sends {"command": "join", "leave" or "say", "room": …, "text": …}. In
    which rooms it is stands in the session of the socket.
    """

    http_user = True
    # A room is joined before something is said in it, on any number of workers.
    strict_ordering = True

    def connect(self, message, **kwargs):
        """Let users in, and show them their rooms."""
        if not message.user.is_authenticated:
            raise DenyConnection("Nobody is logged in.")
        message.channel_session["rooms"] = []
        self.accept()
        rooms = Room.objects.visible_to(message.user).values("id", "title")
        self.send({"rooms": list(rooms)})

    def receive(self, content, **kwargs):
        """Do what a page asks for."""
        try:
            self.run_command(content)
        except ClientError as error:
            self.send({"error": str(error)})

    def disconnect(self, message, **kwargs):
        """Tell those in the rooms of a page that it is gone."""
        for room in Room.objects.filter(
            pk__in=message.channel_session.get("rooms", [])
        ):
            self.leave(room)

    def run_command(self, content):
        """Raise ClientError for what is no command, or not allowed."""
        if not isinstance(content, dict):
            raise ClientError("That is no command.")
        room = self.get_room(content.get("room"))
        command = content.get("command")
        if command == "join":
            self.join(room)
        elif room.pk not in self.message.channel_session["rooms"]:
            raise ClientError("You are not in this room.")
        elif command == "leave":
            self.leave(room)
        elif command == "say":
            self.say(room, content.get("text"))
        else:
            raise ClientError("That is no command.")

    def get_room(self, pk):
        """Return a room that the user may enter."""
        rooms = {room.pk: room for room in Room.objects.visible_to(self.message.user)}
        if not isinstance(pk, int) or pk not in rooms:
            raise ClientError("There is no such room.")
        return rooms[pk]

    def join(self, room):
        """Have a page hear what is said in a room."""
        session = self.message.channel_session
        if room.pk not in session["rooms"]:
            session["rooms"] = [*session["rooms"], room.pk]
            room.group.add(self.message.reply_channel)
            self.tell(room, event="joined")

    def leave(self, room):
        """Undo join()."""
        session = self.message.channel_session
        session["rooms"] = [pk for pk in session["rooms"] if pk != room.pk]
        self.tell(room, event="left")
        room.group.discard(self.message.reply_channel)
        if self.message.channel.name == "websocket.receive":
            # What is told leaves after this page did: it hears of it alone.
            self.send(self.describe(room, event="left"))

    def say(self, room, text):
        """Have a room hear what a user says."""
        text = text.strip() if isinstance(text, str) else ""
        if not 0 < len(text) <= TEXT_LENGTH:
            raise ClientError(f"Say something, in {TEXT_LENGTH} characters or less.")
        self.tell(room, text=text)

    def tell(self, room, **content):
        """Tell all pages that are in a room."""
        room.group.send({"text": json.dumps(self.describe(room, **content))})

    def describe(self, room, **content):
        """Return what pages are told about a room."""
        user = self.message.user.get_username()
        return {"room": room.pk, "user": user, **content}
