"""What becomes of the Redis store when servers, answers and data are lost."""

import socket
import threading

from django.channels.backends.redis_store import shards
from django.channels.backends.redis_store.hosts import parse_hosts
from django.channels.backends.redis_store.scripts import get_script
from django.channels.backends.redis_store.store import RedisStore
from django.channels.exceptions import LayerUnavailable
from django.test import SimpleTestCase

from . import services
from .proxy import Proxy
from .redis_stores import OneRedis, command
from .stores import Stores
from .utils import TIMEOUT


class RedisFaultTestCase(OneRedis, Stores, SimpleTestCase):
    """With stores of several processes on one server."""


class ReconnectionTests(RedisFaultTestCase):
    def test_there_is_no_limit_to_how_often_connections_are_made(self):
        url = f"{self.server.url}?max_connections=2"
        store = RedisStore(parse_hosts([url]), self.prefix, 60)
        for n in range(5):
            store.append([("normal", 9, [b"%d" % n])])
            store.close()
        self.addCleanup(store.close)
        self.assertEqual(len(self.take(store, "normal")), 5)


class LostAnswerTests(RedisFaultTestCase):
    """One store is behind a proxy that loses answers, another one is not."""

    def setUp(self):
        super().setUp()
        self.proxy = self.enterContext(Proxy(self.server.socket))
        server = ("127.0.0.1", self.proxy.port)
        self.store = RedisStore(parse_hosts([server]), self.prefix, 60)
        self.addCleanup(self.store.close)
        self.assertIs(self.store.renew(), True)
        (self.other,) = self.stores(1)

    def lose(self, name, after=0):
        self.proxy.lose_answer(get_script(name).sha.encode(), after)

    def know(self, name, call):
        """Make a call twice, so that the server knows the script, then lose one."""
        call()
        self.lose(name)
        result = call()
        self.assertEqual(self.proxy.cuts, 1)
        return result

    def test_a_repeated_append_leaves_one_copy(self):
        numbers = iter(range(9))

        def call():
            payload = b"%d" % next(numbers)
            return self.store.append(
                [("normal", 9, [payload] * 2), ("inbox!", 9, [payload] * 2)]
            )

        self.assertEqual(self.know("append", call), [2, 2])
        for queue in ("normal", "inbox!"):
            taken = self.take(self.other, queue)
            self.assertEqual(taken, [b"0", b"0", b"1", b"1"])

    def test_a_repeated_append_says_what_was_stored(self):
        result = self.know(
            "append",
            lambda: self.store.append([("a", 3, [b"1"] * 2), ("b!", 9, [b"2"] * 2)]),
        )
        self.assertEqual(result, [1, 2])

    def test_a_repeated_take_returns_what_the_first_took(self):
        for queue in ("normal", "inbox!"):
            with self.subTest(queue=queue):
                self.other.append([(queue, 9, [b"0"])])
                self.assertEqual(self.take(self.store, queue), [b"0"])
                self.other.append([(queue, 9, [b"1", b"2", b"3"])])
                cuts = self.proxy.cuts
                self.lose("take", after=7)
                taken = self.take(self.store, queue, limit=2)
                self.assertEqual(self.proxy.cuts, cuts + 1)
                taken += self.take(self.store, queue)
                self.assertEqual(taken, [b"1", b"2", b"3"])
                statistics = self.other.statistics(queue)
                self.assertEqual(statistics["delivered_count"], 4)
                self.assertEqual(statistics["messages_pending"], 0)

    def test_a_repeated_take_that_found_nothing_takes_what_came(self):
        self.take(self.store, "normal")
        self.lose("take")
        self.assertEqual(self.take(self.store, "normal"), [])
        self.other.append([("normal", 9, [b"1"])])
        self.assertEqual(self.take(self.store, "normal"), [b"1"])

    def test_what_a_group_missed_is_told_once(self):
        self.store.claim([("group", "inbox!", 1, 1)], ["inbox!"])
        self.take(self.store, "inbox!")
        for n in range(3):
            self.other.send_group("group", b"%d" % n)
        self.lose("take")
        taken = self.store.take(["inbox!"], 9)
        found = [(entry.payload, entry.mark) for _, entry in taken]
        self.assertEqual(found, [(b"0", 0), (None, 2)])
        self.assertEqual(self.store.take(["inbox!"], 9), [])

    def test_a_repeated_registration_counts_once(self):
        call = self.store.register
        result = self.know("register", lambda: call("group", "inbox!", 9, b"add"))
        self.assertEqual(result, 2)
        self.assertEqual(self.take(self.other, "inbox!"), [b"add", b"add"])

    def test_a_repeated_group_send_arrives_once(self):
        self.other.add("group", "normal", 9, 60)
        self.other.register("group", "inbox!", 9, b"add")
        self.know("send_group", lambda: self.store.send_group("group", b"1"))
        self.assertEqual(self.take(self.other, "normal"), [b"1", b"1"])
        self.assertEqual(self.take(self.other, "inbox!"), [b"add", b"1", b"1"])

    def test_repeated_corrections_happen_once(self):
        self.know("count", lambda: self.store.count({"a": {"messages_count": 1}}))
        self.assertEqual(self.other.statistics("a")["messages_count"], 2)
        self.other.append([("normal", 9, [b"1", b"2"])])
        self.take(self.store, "normal")
        self.store.give_back([("normal", b"2", None)])
        self.lose("give_back")
        self.store.give_back([("normal", b"1", None)])
        self.assertEqual(self.take(self.other, "normal"), [b"1", b"2"])

    def test_what_was_heard_when_the_connection_broke_is_heard_again(self):
        self.store.claim([], ["inbox!"])
        self.take(self.store, "inbox!", wait=True)
        self.proxy.lose_answer(b"XREADGROUP", after=9)
        thread_results = []

        def listen():
            try:
                thread_results.append(self.store.listen(TIMEOUT, ["inbox!"]))
            except LayerUnavailable as error:
                thread_results.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        self.other.append([("inbox!", 9, [b"1"])])
        thread.join(TIMEOUT)
        self.assertIsInstance(thread_results[0], LayerUnavailable)
        self.other.append([("inbox!", 9, [b"2"])])
        self.assertEqual(self.take(self.store, "inbox!"), [b"1", b"2"])

    def test_a_connection_that_broke_while_idle_is_replaced(self):
        self.store.append([("normal", 9, [b"1"])])
        self.proxy.cut()
        self.store.append([("normal", 9, [b"2"])])
        self.proxy.cut()
        self.assertEqual(self.take(self.store, "normal"), [b"1", b"2"])

    def test_a_server_that_is_away_is_named_without_password(self):
        self.proxy.refuse()
        url = f"redis://me:secret@127.0.0.1:{self.proxy.port}/0"
        store = RedisStore(parse_hosts([url]), self.prefix, 60)
        self.addCleanup(store.close)
        with self.assertRaises(LayerUnavailable) as caught:
            store.append([("normal", 9, [b"content"])])
        text = str(caught.exception)
        self.assertIn(f"127.0.0.1:{self.proxy.port}", text)
        self.assertNotIn("secret", text)
        self.assertNotIn("content", text)

    def test_a_delayed_first_try_does_nothing_after_the_second(self):
        """The first try of a call may come to the server after the second."""
        (shard,) = self.other._shards
        words = ("sender", 5, 60000, "normal", 9, 1, b"1")
        self.other.append([("other", 9, [b"0"])])
        for _ in range(3):
            command(shard, "EVALSHA", get_script("append").sha, 1, shard.keys, *words)
        self.assertEqual(self.take(self.other, "normal"), [b"1"])
        self.other.append([("normal", 9, [b"2"])])
        take = get_script("take").sha
        again = ("reader", "sender2", 7, 1, 9, "", 60000, "normal", "")
        first = ("reader", "sender2", 7, 0, 9, "", 60000, "normal", "")
        command(shard, "EVALSHA", take, 1, shard.keys, *again)
        self.other.append([("normal", 9, [b"3"])])
        command(shard, "EVALSHA", take, 1, shard.keys, *first)
        self.assertEqual(self.take(self.other, "normal"), [b"3"])


class LostDataTests(RedisFaultTestCase):
    """A server of their own is restarted, flushed and filled."""

    def make_server(self, **options):
        server = services.redis(own=True, **options)
        self.addCleanup(server.stop)
        return server

    def assertGap(self, store):
        before = store.incarnation
        self.assertIs(store.renew(), False)
        self.assertNotEqual(store.incarnation, before)
        self.assertIs(store.renew(), True)

    def test_a_server_that_starts_empty(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        a.append([("normal", 9, [b"1"])])
        self.server.restart("empty")
        self.assertEqual(self.take(a, "normal"), [])
        self.assertGap(a)
        self.assertGap(b)
        b.claim([("group", "inbox!", 9, 1)], ["inbox!"])
        a.send_group("group", b"2")
        self.assertEqual(self.take(b, "inbox!"), [b"2"])

    def test_an_older_snapshot_delivers_nothing_again(self):
        a, b = self.stores()
        for queue in ("normal", "inbox!"):
            a.append([(queue, 9, [b"1", b"2"])])
        snapshot = self.server.snapshot()
        for queue in ("normal", "inbox!"):
            self.assertEqual(self.take(b, queue), [b"1", b"2"])
        self.server.restart(snapshot)
        (c,) = self.stores(1)
        for store in (b, c):
            self.assertEqual(self.take(store, "normal", "inbox!"), [])
        self.assertGap(b)
        a.append([("inbox!", 9, [b"3"])])
        self.assertEqual(self.take(b, "inbox!"), [b"3"])
        with self.server.client() as client:
            keys = client.keys("*")
            self.assertNotIn(-1, [client.ttl(key) for key in keys])

    def test_a_flushed_server(self):
        a, b = self.stores()
        b.claim([], ["inbox!"])
        self.take(b, "inbox!", wait=True)
        generation = a._shards[0].generation
        with self.server.client() as client:
            client.flushall()
        a.append([("inbox!", 9, [b"1"])])
        self.assertGap(a)
        self.assertGap(b)
        self.assertEqual(a._shards[0].generation, generation)
        self.assertEqual(b._shards[0].generation, generation)
        self.assertEqual(self.take(b, "inbox!"), [b"1"])

    def test_listening_goes_on_after_a_flush(self):
        a, b = self.stores()
        self.take(b, "inbox!", wait=True)
        self.assertEqual(b.listen(0.01, ["inbox!"]), [])
        with self.server.client() as client:
            client.flushall()
        self.assertIs(b.renew(), False)
        a.append([("inbox!", 9, [b"1"])])
        found = []
        while not found:
            for name, offered in b.listen(TIMEOUT, ["inbox!"]):
                found += [entry.payload for entry in b.accept(name, offered)]
        self.assertEqual(found, [b"1"])

    def test_a_server_without_the_scripts(self):
        (a,) = self.stores(1)
        for number in range(3):
            with self.server.client() as client:
                client.script_flush()
            a.append([("inbox!", 9, [b"%d" % number])])
        taken = self.take(a, "inbox!", wait=True)
        self.assertEqual(taken, [b"0", b"1", b"2"])
        for number in range(3):
            with self.server.client() as client:
                client.script_flush()
            a.append([("inbox!", 9, [b"1"])])
            ((name, offered),) = a.listen(TIMEOUT, ["inbox!"])
            self.assertEqual([e.payload for e in a.accept(name, offered)], [b"1"])
        self.assertEqual(self.take(a, "inbox!"), [])
        self.assertEqual(a.statistics("inbox!")["delivered_count"], 6)

    def test_a_full_server_stores_nothing_and_is_read(self):
        self.server = self.make_server(maxmemory="64mb")
        a, b = self.stores()
        for queue in ("normal", "inbox!"):
            a.append([(queue, 99, [b"1"])])
        b.add("group", "normal", 99, 60)
        with self.server.client() as client:
            # Less than it uses, however much that goes down.
            client.config_set("maxmemory", 1)
            for call in (
                lambda: a.append([("normal", 99, [b"2"]), ("inbox!", 99, [b"2"])]),
                lambda: a.send_group("group", b"2"),
                lambda: a.register("group", "inbox!", 9, b"add"),
                lambda: a.give_back([("normal", b"2", None)]),
            ):
                with self.assertRaisesMessage(LayerUnavailable, "is full"):
                    call()
            self.assertEqual(self.take(b, "normal", "inbox!"), [b"1", b"1"])
            self.assertIs(b.renew(), True)
            client.config_set("maxmemory", "64mb")
        a.append([("normal", 99, [b"3"])])
        self.assertEqual(self.take(b, "normal"), [b"3"])
        for queue in ("normal", "inbox!"):
            self.assertEqual(b.statistics(queue)["messages_pending"], 0)

    def test_a_refused_command_is_an_error_with_its_reason(self):
        (a,) = self.stores(1)
        with self.server.client() as client:
            client.set(f"{a._shards[0].keys}q:normal", "what others wrote")
        with self.assertRaisesMessage(LayerUnavailable, "WRONGTYPE"):
            a.append([("normal", 9, [b"1"])])

    def test_hostile_entries_are_not_fatal(self):
        (a,) = self.stores(1)
        self.take(a, "inbox!")
        keys = a._shards[0].keys
        a.append([("normal", 9, [b"1"]), ("inbox!", 9, [b"1"])])
        with self.server.client() as client:
            client.rpush(f"{keys}l:normal", b"", b"x", b"\x80" * 30)
            for fields in (
                {b"": b""},
                {b"m": b""},
                {b"m 2 60000": b"\xff\xff\xff\xff"},
                {b"c \x80": b""},
                {b"\x80": b"\x80", b"more": b"fields"},
            ):
                client.xadd(f"{keys}i:inbox!", fields)
        a.append([("normal", 9, [b"2"]), ("inbox!", 9, [b"2"])])
        taken = self.take(a, "normal", "inbox!")
        self.assertEqual([p for p in taken if p], [b"1", b"2", b"1", b"2"])


class ConnectionTests(RedisFaultTestCase):
    def test_nothing_connects_before_the_first_use(self):
        store = RedisStore(parse_hosts(["redis://127.0.0.1:1"]), self.prefix, 60)
        store.close()
        store.leave()

    def test_no_more_idle_connections_are_kept_than_is_said(self):
        (a,) = self.stores(1)
        (shard,) = a._shards
        wires = [shard.lend() for _ in range(shards.MAX_IDLE_WIRES + 5)]
        for wire in wires:
            shard.open(wire)
        for wire in wires:
            shard.give_back(wire)
        self.assertEqual(sum(w.is_open for w in wires), shards.MAX_IDLE_WIRES)

    def test_prefixes_are_apart(self):
        (a,) = self.stores(1)
        self.prefix = f"{services.unique_name()}:"
        (b,) = self.stores(1)
        a.append([("normal", 9, [b"1"])])
        self.assertEqual(self.take(b, "normal"), [])
        self.assertEqual(b.queues(), {})

    def test_a_closed_store_has_no_connection(self):
        (a,) = self.stores(1)
        self.take(a, "inbox!", wait=True)
        a.listen(0.01, ["inbox!"])
        (shard,) = a._shards
        (listener,) = a._listeners.values()
        wires = [*shard._wires, listener._wire]
        self.assertTrue(all(wire.is_open for wire in wires))
        a.close()
        self.assertFalse(any(wire.is_open for wire in wires))

    def test_a_server_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            host = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
            host["socket_timeout"] = 0.05
            store = RedisStore(parse_hosts([host]), self.prefix, 60)
            self.addCleanup(store.close)
            with self.assertRaises(LayerUnavailable):
                store.append([("normal", 9, [b"1"])])

    def test_what_a_process_has_lives_on_while_it_does(self):
        (a,) = self.stores(1)
        a.claim([("group", "inbox!", 1, 1), ("other", "inbox!", 1, 1)], ["inbox!"])
        a.take(["inbox!"], 1)
        (shard,) = a._shards
        names = ["g:group", "g:other", "i:inbox!", "o:inbox!"]
        for name in names:
            command(shard, "PEXPIRE", f"{shard.keys}{name}", 60_000)
        self.assertTrue(a.deregister("other", "inbox!", 1))
        for _ in range(3):
            a.renew()
        left = [command(shard, "PTTL", f"{shard.keys}{name}") for name in names]
        self.assertGreater(min(left[0], *left[2:]), 3_600_000)
        self.assertLess(left[1], 0)
        self.assertEqual(a._cares[shard].registrations, {("group", "inbox!"): None})

    def test_every_key_has_an_end(self):
        a, b = self.stores()
        b.claim([("group", "inbox!", 1, 1)], ["inbox!"])
        a.add("group", "one?x", 1, 60)
        self.take(b, "normal", wait=True)
        for _ in range(3):
            a.send_group("group", b"1")
        a.register("group", "new!", 9, b"add")
        a.append([("normal", 9, [b"1"]), ("inbox!", 9, [b"1"])])
        a.give_back([("inbox!", b"0", 5)])
        self.take(b, "normal", "one?x")
        with self.server.client() as client:
            keys = list(client.scan_iter(f"{self.prefix}*"))
            self.assertEqual([k for k in keys if client.ttl(k) == -1], [])
