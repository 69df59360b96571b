"""
A model of the channel layer contract: what a layer may do, from what it was told.

It is as exact as specs/channel-layers.rst is. Where a layer that spans processes
keeps a part of an inbox in the process, the model knows bounds only; ``exact``
is for layers without such a part.
"""

from collections import defaultdict

from django.channels.names import inbox_of, queue_of

# How many names of an inbox a test uses at most.
MAX_MEMBERS = 4


class Room:
    """The place of one message in a queue, for all members that it is for."""

    def __init__(self, sure=True):
        # Is it certain that the message was stored?
        self.sure = sure
        # May its process have taken it from the store already?
        self.fetched = False


class Item:
    """One message for one channel, until somebody receives it."""

    def __init__(self, number, channel, sender, room, earliest, latest):
        self.number = number
        self.channel = channel
        self.sender = sender
        self.room = room
        # It may have expired from the first time on, and has from the second on.
        self.earliest = earliest
        self.latest = latest


class LayerModel:
    """What is in a layer. A problem is an AssertionError."""

    def __init__(self, get_capacity, expiry, group_expiry, exact):
        self.get_capacity = get_capacity
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.exact = exact
        self.now = 0
        self.items = defaultdict(list)
        # Rooms in the store that no message can be received from.
        self.ghosts = defaultdict(int)
        self.closed = set()
        # Inboxes whose process may take messages from the store at any time.
        self.heard = set()
        # Inboxes whose process may not have learned of a flush.
        self.flushed = set()
        # {group: {channel: end of the membership}}
        self.groups = defaultdict(dict)
        # {group: inboxes that the store may know}
        self.known = defaultdict(set)
        # {queue: {key of the statistics: count}}, and how much less and more it is.
        self.counts = defaultdict(lambda: defaultdict(int))
        self.unsure = defaultdict(lambda: defaultdict(lambda: [0, 0]))

    # Time and room.

    def pass_time(self, seconds):
        self.now += seconds
        for queue, items in self.items.items():
            self.items[queue] = [item for item in items if item.latest > self.now]

    def bounds(self, queue):
        """Return how many places of a queue are taken, at least and at most."""
        rooms = defaultdict(bool)
        for item in self.items[queue]:
            sure = item.room.sure and not item.room.fetched
            rooms[item.room] |= sure and item.earliest > self.now
        return sum(rooms.values()), len(rooms) + self.ghosts[queue]

    def fits(self, queue):
        """Return whether there is room, or None if that cannot be known."""
        least, most = self.bounds(queue)
        capacity = self.get_capacity(queue)
        if most < capacity:
            return True
        return False if least >= capacity else None

    # Sending.

    def sent(self, number, channel, sender, refused, is_owner=True):
        """Note that a message was sent, or refused with ChannelFull."""
        queue = queue_of(channel)
        fits = self.fits(queue)
        if channel in self.closed and (self.exact or is_owner):
            assert not refused, f"A message to the closed {channel} is refused."
            return self.dropped(queue)
        if fits is not None:
            assert refused != fits, f"{channel}: {refused=} with {self.bounds(queue)}."
        if refused:
            return self.refused(queue)
        self.counts[queue]["messages_count"] += 1
        if channel in self.closed:
            self.ghosts[queue] += 1
        else:
            self._append(queue, number, channel, sender, Room())

    def refused(self, queue):
        self.counts[queue]["channel_full_count"] += 1

    def dropped(self, queue):
        self.counts[queue]["messages_count"] += 1

    def _append(self, queue, number, channel, sender, room):
        end = self.now + self.expiry
        room.fetched = queue in self.heard
        self.items[queue].append(Item(number, channel, sender, room, end, end))

    def sent_to_group(self, number, group, sender):
        members = defaultdict(list)
        for channel, end in self.groups[group].items():
            if end > self.now:
                members[queue_of(channel)].append(channel)
        for queue, channels in members.items():
            self.counts[queue]["messages_count"] += len(channels)
            fits = self.fits(queue)
            if "!" in channels[0]:
                self._doubt(queue, len(channels), fits)
            if fits is False:
                self.refused(queue)
                continue
            room = Room(sure=bool(fits))
            for channel in channels:
                self._append(queue, number, channel, sender, room)
        for inbox in self.known[group] - set(members):
            fits = self.fits(inbox)
            self.ghosts[inbox] += 1
            self._doubt(inbox, 0, fits)

    def _doubt(self, inbox, count, fits):
        """Note that counters are not exact until a process has read its inbox."""
        if self.exact:
            return
        # What is never read is one message. Otherwise it is counted for those who are
        # not closed, and what was missed for those who are members, at the reading.
        unsure = self.unsure[inbox]["messages_count"]
        unsure[0] += count
        unsure[1] += 1 if fits else MAX_MEMBERS
        self.unsure[inbox]["channel_full_count"][1] += not fits

    # Receiving.

    def waited(self, names):
        """Note that a process has waited; it hears its inboxes from now on."""
        if not self.exact:
            self.heard.update(name for name in names if name.endswith("!"))

    def received(self, names, limit, pairs):
        """Note what a receive from queues returned."""
        assert len(pairs) <= limit, "There is more than was asked for."
        for channel, message in pairs:
            queue = queue_of(channel)
            assert queue in names, f"{channel} was not asked for."
            self._take(queue, channel, message["n"])
        for queue in names:
            if not pairs:
                left = [i for i in self.items[queue] if self._must_be_there(i)]
                assert not left, f"{left[0].channel} has {left[0].number}, not found."
                self.items[queue] = []
            if queue.endswith("!"):
                if not pairs:
                    self.ghosts[queue] = 0
                    self.flushed.discard(queue)
                for item in self.items[queue]:
                    item.room.fetched = not self.exact

    def _must_be_there(self, item):
        return item.room.sure and item.earliest > self.now

    def _take(self, queue, channel, number):
        items = self.items[queue]
        found = [i for i in items if (i.channel, i.number) == (channel, number)]
        assert found, f"{channel} returns {number}, which is not in it."
        item = found[0]
        if queue != channel or "?" in channel:
            for other in items[: items.index(item)]:
                if (other.channel, other.sender) != (channel, item.sender):
                    continue
                # It is there no more, or else it was overtaken.
                must = self._must_be_there(other)
                assert not must, f"{channel}: {number} comes before {other.number}."
                items.remove(other)
        items.remove(item)
        item.room.sure = True
        self.counts[queue]["delivered_count"] += 1

    def put_back(self, pairs, sender):
        for channel, message in reversed(pairs):
            queue = queue_of(channel)
            self.counts[queue]["delivered_count"] -= 1
            if channel in self.closed:
                continue
            end = self.now + self.expiry
            earliest = min([end, *(item.earliest for item in self.items[queue])])
            room = Room(sure=queue not in self.flushed)
            room.fetched = not self.exact and "!" in channel
            item = Item(message["n"], channel, sender, room, earliest, end)
            self.items[queue].insert(0, item)

    # Names and groups.

    def close(self, channel):
        queue = queue_of(channel)
        gone = [i for i in self.items[queue] if i.channel == channel]
        self.items[queue] = [i for i in self.items[queue] if i.channel != channel]
        for members in self.groups.values():
            members.pop(channel, None)
        if "!" in channel:
            self.closed.add(channel)
            if not self.exact:
                # What waits may be taken from the store before, or be there still.
                self.ghosts[queue] += len([i for i in gone if not i.room.fetched])
                for item in self.items[queue]:
                    item.room.fetched = True

    def joined(self, group, channel):
        inbox = inbox_of(channel)
        if inbox and not self.exact:
            self.known[group].add(inbox)
        if channel in self.closed:
            return
        end = float("inf") if inbox else self.now + self.group_expiry
        self.groups[group][channel] = end

    def left(self, group, channel):
        self.groups[group].pop(channel, None)

    def flush(self, own_inbox):
        if not self.exact:
            self.flushed.update(q for q in self.items if q != own_inbox)
        for queue, items in self.items.items():
            # What another process has taken already it learns with the next take.
            left = [i for i in items if i.room.fetched and queue != own_inbox]
            self.items[queue] = left
            for item in left:
                item.room.sure = False
        self.ghosts.clear()
        self.groups.clear()

    # Counters.

    def check_sum(self, queue, statistics):
        """Compare the counters of a queue, or of all for None, with each other."""
        keys = ("delivered_count", "dropped_count", "expired_count", "messages_pending")
        total = sum(statistics[key] for key in keys)
        assert statistics["messages_count"] == total, f"{queue}: {statistics}"

    def check(self, queue, statistics):
        """Compare the counters of a queue, or of all for None, with the own ones."""
        self.check_sum(queue, statistics)
        queues = {*self.counts, *self.unsure} if queue is None else {queue}
        for key in ("messages_count", "delivered_count", "channel_full_count"):
            count = sum(self.counts[name][key] for name in queues)
            least = count - sum(self.unsure[name][key][0] for name in queues)
            most = count + sum(self.unsure[name][key][1] for name in queues)
            found = statistics[key]
            assert least <= found <= most, f"{queue}: {key}: {found}, not {count}."
