"""What messages to groups cost a Redis."""

from django.channels.backends.redis import RedisChannelLayer
from django.test import SimpleTestCase

from . import services
from .redis_stores import OneRedis

# How often a call is made of which the least cost counts.
TRIES = 5


class GroupCostTests(OneRedis, SimpleTestCase):
    def make_server(self):
        server = services.redis(own=True)
        self.addCleanup(server.stop)
        return server

    def make_layer(self):
        layer = RedisChannelLayer(self.hosts(), self.prefix)
        self.addCleanup(layer.close)
        return layer

    def cost(self, call):
        """Return how many commands a call makes a server carry out, and its bytes."""
        with self.server.client() as client:

            def counts():
                ours = ("xadd", "hset", "evalsha", "hgetall", "exists", "set")
                stats = client.info("commandstats")
                calls = sum(
                    stats.get(f"cmdstat_{k}", {"calls": 0})["calls"] for k in ours
                )
                return calls, client.info("stats")["total_net_input_bytes"]

            before = counts()
            call()
            after = counts()
        return tuple(b - a for a, b in zip(before, after))

    def costs(self, layers, members):
        """Return the cost of a message to members in the processes of layers."""
        group = f"group.{len(layers)}.{members}"
        for layer in layers:
            inbox = f"inbox.{id(layer)}!"
            names = [layer.new_channel(inbox) for _ in range(members // len(layers))]
            for name in names:
                layer.group_add(group, name)
            layer.receive([inbox])

        def send():
            self.sender.send_group(group, {"text": "x" * 100})

        send()
        # Without what keepers, who renew leases once a second, do meanwhile.
        calls, size = map(min, zip(*(self.cost(send) for _ in range(TRIES))))
        for layer in layers:
            inbox = f"inbox.{id(layer)}!"
            found = layer.receive_batch([inbox], 10_000)
            self.assertEqual(len(found), (1 + TRIES) * members // len(layers))
        return calls, size

    def test_the_cost_grows_with_processes_only(self):
        self.sender = self.make_layer()
        layers = [self.make_layer() for _ in range(4)]
        one = {n: self.costs(layers[:1], n) for n in (4, 40, 400)}
        four = {n: self.costs(layers, n) for n in (4, 40, 400)}
        for calls, size in (one[40], one[400]):
            self.assertLess(calls, one[4][0] + 8)
            self.assertLess(size, one[4][1] + 2000)
        for calls, size in four.values():
            self.assertLess(calls, 4 * one[4][0] + 8)
            self.assertLess(size, one[4][1] + 2000)
