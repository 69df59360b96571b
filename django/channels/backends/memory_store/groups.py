"""
The groups of the memory layer.

Nothing here locks: the layer calls it with its lock held.
"""

from django.channels.names import inbox_of


class _Group:
    __slots__ = ("inboxes", "plain", "targets", "until")

    def __init__(self):
        # {inbox: {member: None}}, the members in the order of their adding.
        self.inboxes = {}
        # {normal or single-reader channel: end of its membership}
        self.plain = {}
        # What send_group() goes to, until the members change or this time.
        self.targets = None
        self.until = 0


class Groups:
    """Which channels are in which groups, and until when."""

    def __init__(self):
        self._groups = {}
        # {member: names of its groups}, so that a channel can leave them all.
        self._memberships = {}

    def __contains__(self, name):
        return name in self._groups

    def __len__(self):
        return len(self._groups)

    def add(self, name, channel, deadline):
        """Make ``channel`` a member; ``deadline`` counts for plain ones."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group()
        inbox = inbox_of(channel)
        members = group.plain if inbox is None else group.inboxes.setdefault(inbox, {})
        if channel not in members:
            group.targets = None
            self._memberships.setdefault(channel, set()).add(name)
        members[channel] = deadline if inbox is None else None

    def discard(self, name, channel):
        """End the membership of ``channel``, if there is one."""
        memberships = self._memberships.get(channel, ())
        if name not in memberships:
            return
        memberships.remove(name)
        if not memberships:
            del self._memberships[channel]
        group = self._groups[name]
        group.targets = None
        inbox = inbox_of(channel)
        if inbox is None:
            del group.plain[channel]
        else:
            del group.inboxes[inbox][channel]
            if not group.inboxes[inbox]:
                del group.inboxes[inbox]
        if not group.plain and not group.inboxes:
            del self._groups[name]

    def of(self, channel):
        """Return the names of the groups that ``channel`` is in."""
        return list(self._memberships.get(channel, ()))

    def channels(self):
        """Return all members of groups."""
        return list(self._memberships)

    def discard_all(self, channel):
        """End all memberships of ``channel``."""
        for name in self.of(channel):
            self.discard(name, channel)

    def expire(self, name, now):
        """
        End the memberships in a group whose time is over.

        Return when the next one ends, or None.
        """
        group = self._groups.get(name)
        if group is None:
            return None
        for channel, deadline in list(group.plain.items()):
            if deadline <= now:
                self.discard(name, channel)
        return min(group.plain.values(), default=None)

    def sizes(self, now):
        """Return {name: {"inboxes": n, "channels": n}} of groups with members."""
        for name in list(self._groups):
            self.expire(name, now)
        return {
            name: {"inboxes": len(group.inboxes), "channels": len(group.plain)}
            for name, group in self._groups.items()
        }

    def targets(self, name, now):
        """
        Return [(queue, members), …] that a send to a group reaches.

        The members of an inbox are one target, every plain channel is one.
        """
        group = self._groups.get(name)
        if group is None:
            return ()
        if group.targets is None or group.until <= now:
            until = self.expire(name, now)
            group.until = float("inf") if until is None else until
            group.targets = [
                (inbox, tuple(members)) for inbox, members in group.inboxes.items()
            ] + [(channel, (channel,)) for channel in group.plain]
        return group.targets
