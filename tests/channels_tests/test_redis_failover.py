"""What becomes of the Redis store when a server's place is taken by another."""

from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase, tag

from . import services
from .redis_stores import BySentinels, InCluster, TwoHosts
from .services.waiting import wait_for


class FailoverTestCase(SimpleTestCase):
    def stores(self, count=2):
        stores = [self.make_store() for _ in range(count)]
        for store in stores:
            self.addCleanup(store.close)
            self.assertIs(store.renew(), True)
        return stores

    def take(self, store, *names):
        return [e.payload for _, e in store.take(list(names), 100)]

    def until_done(self, call):
        """Repeat a call until the server takes it; return its result."""
        results = []

        def succeed():
            try:
                results.append(call())
            except LayerUnavailable:
                return False
            return True

        wait_for(succeed, "the server takes commands again")
        return results[0]

    def assertHeals(self, a, b):
        """One store learns of the gap, claims its inbox, and hears of a group."""
        self.assertIs(self.until_done(b.renew), False)
        b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        self.until_done(lambda: a.send_group("group", b"after"))
        self.assertEqual(self.take(b, "inbox!"), [b"after"])
        self.assertIs(b.renew(), True)


@tag("full")
class SentinelFailoverTests(BySentinels, FailoverTestCase):
    def make_server(self):
        server = services.sentinel(own=True)
        self.addCleanup(server.stop)
        return server

    def test_a_replica_takes_over(self):
        for kill in (False, True):
            with self.subTest(kill=kill):
                self.prefix = f"{services.unique_name()}:"
                a, b = self.stores()
                b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
                for queue in ("normal", "inbox!"):
                    a.append([(queue, 9, [b"before"])])
                    self.assertEqual(self.take(b, queue), [b"before"])
                self.server.failover(kill=kill)
                taken = self.until_done(lambda: self.take(b, "normal", "inbox!"))
                self.assertEqual(taken, [])
                self.assertHeals(a, b)
                self.assertIs(self.until_done(a.renew), False)
                self.server.restart()


@tag("full")
class ClusterFailoverTests(InCluster, FailoverTestCase):
    def make_server(self):
        server = services.cluster(own=True)
        self.addCleanup(server.stop)
        return server

    def test_a_slot_that_moves_loses_what_was_in_it(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        a.append([("inbox!", 9, [b"before"])])
        self.assertEqual(self.take(b, "inbox!"), [b"before"])
        shard = a._shard_of("inbox!")
        slot = shard.server._slot
        source = self.server.owner(slot)
        target = next(node for node in self.server.nodes if node is not source)
        self.server.move_slot(slot, source, target)
        self.assertEqual(self.take(b, "inbox!"), [])
        self.assertHeals(a, b)

    def test_a_master_that_starts_anew(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        slot = a._shard_of("inbox!").server._slot
        node = self.server.owner(slot)
        node.kill()
        with self.assertRaises(LayerUnavailable):
            a.append([("inbox!", 9, [b"1"])])
        self.server.restart()
        self.assertHeals(a, b)


@tag("full")
class TwoHostsFailoverTests(TwoHosts, FailoverTestCase):
    def test_the_channels_of_other_servers_go_on(self):
        server = services.redis(own=True)
        self.addCleanup(server.stop)
        self.hosts = lambda: [services.redis().url, server.url]
        a, b = self.stores()
        shards = {}
        for number in range(30):
            name = f"queue.{number}"
            shards.setdefault(a._shard_of(name), name)
        first, second = a._shards
        server.kill()
        a.append([(shards[first], 9, [b"1"])])
        self.assertEqual(self.take(b, shards[first]), [b"1"])
        with self.assertRaisesMessage(LayerUnavailable, str(server.port)):
            a.append([(shards[second], 9, [b"1"])])
        with self.assertRaisesMessage(LayerUnavailable, str(server.port)):
            b.renew()
        self.assertEqual(b.take([shards[first]], 1, True), [])
        with self.assertRaisesMessage(LayerUnavailable, str(server.port)):
            b.take([shards[second]], 1, True)
        a.append([(shards[first], 9, [b"2"])])
        self.assertEqual(b.listen(9), [(shards[first], None)])
        server.restart("empty")
        self.assertEqual(self.take(b, shards[second]), [])
        self.assertIs(b.renew(), False)
        self.assertIs(b.renew(), True)

    def test_one_listens_to_all_servers(self):
        a, b = self.stores()
        names = [f"inbox.{number}!" for number in range(10)]
        self.assertEqual(len(set(map(b._shard_of, names))), 2)
        self.assertEqual(b.take(names, 1, True), [])
        found = {}
        for name in names:
            a.append([(name, 9, [name.encode()])])
        while len(found) < len(names):
            for name, offered in b.listen(9, names):
                for entry in b.accept(name, offered):
                    found[name] = entry.payload
        self.assertEqual(found, {name: name.encode() for name in names})
