"""
The store's calls for groups.

In: store.py. Out: the scripts register, post, deregister, claim, add, remove and
send_group. A registration is on the shard of its inbox or channel, so that each
shard has its part of a group, and a message to the group goes to each shard.
"""

from ..shared.store import Store
from .queues import FLIGHT_BYTES


class GroupCalls(Store):
    """The part of RedisStore that is about groups."""

    def register(self, group, inbox, capacity, control):
        words = (self._expiry_ms, group, inbox, capacity, control)
        return self._shard_of(inbox).run_once("register", *words)

    def post(self, group, inbox, control):
        words = (self._expiry_ms, group, inbox, control)
        self._shard_of(inbox).run_once("post", *words)

    def deregister(self, group, inbox, count):
        shard = self._shard_of(inbox)
        is_ended = shard.run("deregister", group, inbox, count) == 1
        if is_ended:
            self._let_go(shard, (group, inbox))
        return is_ended

    def claim(self, registrations, inboxes):
        parts = {}
        for inbox in inboxes:
            parts.setdefault(self._shard_of(inbox), ([], []))[0].append(inbox)
        for group, inbox, capacity, count in registrations:
            words = parts.setdefault(self._shard_of(inbox), ([], []))[1]
            words += (group, inbox, capacity, count)
        for shard, (names, words) in parts.items():
            self._watch(shard)
            shard.run("claim", self.incarnation, len(names), *names, *words)
            self._keep_alive(shard, names, zip(words[::4], words[1::4]))

    def is_foreign(self, inbox):
        words = (inbox, self.incarnation or "")
        return self._shard_of(inbox).run("is_foreign", *words) == 1

    def add(self, group, channel, capacity, seconds):
        words = (group, channel, capacity, max(int(seconds * 1000), 1))
        self._shard_of(channel).run("add", *words)

    def remove(self, group, channel):
        self._shard_of(channel).run("remove", group, channel)

    def begin_send_group(self, group, payload):
        if len(payload) > FLIGHT_BYTES or len(self._shards) > 1:
            return None
        words = (self._expiry_ms, group, payload)
        return self._shards[0].begin_once("send_group", words, lambda reply: True)

    def send_group(self, group, payload):
        words = (self._expiry_ms, group, payload)
        self._on_all(lambda shard: shard.run_once("send_group", *words))
