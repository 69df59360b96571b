"""What is in a Redis is what specs/redis.rst says."""

import hashlib
import re
import struct

from django.channels.backends.redis_store.scripts import FOLDER, get_script
from django.channels.backends.shared.store import SINGLE_READER_MEMORY_SECONDS
from django.test import SimpleTestCase, tag
from django.test.channel_layers import cites

from .chat import REPOSITORY
from .redis_stores import InCluster, OneRedis, TwoHosts, command


class FormatTestCase(OneRedis, SimpleTestCase):
    def setUp(self):
        super().setUp()
        self.store = self.make_store()
        self.addCleanup(self.store.close)
        self.assertIs(self.store.renew(), True)

    def shard(self, queue="normal"):
        return self.store._shard_of(queue)

    def ask(self, queue, word, kind, *words):
        """Return the answer to a command on a key of a queue."""
        shard = self.shard(queue)
        return command(shard, word, f"{shard.keys}{kind}:{queue}", *words)

    def now(self, queue="normal"):
        seconds, micros = command(self.shard(queue), "TIME")
        return int(seconds) * 1000 + int(micros) // 1000


class KeyTests(FormatTestCase):
    @cites("RD-1", "must begin with the prefix, the tag, the generation and a colon")
    @cites("RD-3", "must hold the run_id of its server, a space and the generation")
    def test_names_of_keys(self):
        self.store.append([("normal", 9, [b"1"])])
        shard = self.shard()
        run_id, generation = command(shard, "GET", f"{self.prefix}epoch").split()
        self.assertIn(b"run_id:" + run_id, command(shard, "INFO", "server"))
        beginning = self.prefix.encode() + generation + b":"
        keys = command(shard, "KEYS", f"{self.prefix}*")
        self.assertIn(beginning + b"q:normal", keys)
        for key in set(keys) - {f"{self.prefix}epoch".encode()}:
            self.assertTrue(key.startswith(beginning), key)

    @cites("RD-4", "Every key must have a time to live")
    def test_all_keys_end(self):
        self.store.append([("normal", 9, [b"1"]), ("inbox!", 9, [b"1"])])
        self.store.take(["inbox!", "other"], 1, wait=True)
        shard = self.shard()
        for key in command(shard, "KEYS", f"{self.prefix}*"):
            self.assertGreater(command(shard, "PTTL", key), 0, key)

    def test_what_is_of_a_single_reader_channel_ends_soon(self):
        self.store.append([("one?reader", 9, [b"1"])])
        for _ in range(2):
            self.store.take(["one?reader"], 1, wait=True)
        shard = self.shard()
        keys = command(shard, "KEYS", f"{self.prefix}*:one[?]reader")
        lives = [command(shard, "PTTL", key) / 1000 for key in keys]
        self.assertEqual(len(lives), 2, keys)
        longest = SINGLE_READER_MEMORY_SECONDS + self.store.expiry
        self.assertLessEqual(max(lives), longest)

    @cites("RD-5", "Time must be that of the server")
    def test_scripts_get_no_time(self):
        for path in FOLDER.glob("*.lua"):
            text = path.read_text()
            self.assertNotIn("os.", text)
            self.assertEqual("'TIME'" in text, path.stem == "common", path.name)


class ScriptTests(FormatTestCase):
    def read_constants(self):
        """Return {name: number} of the table in specs/redis.rst."""
        text = (REPOSITORY / "specs" / "redis.rst").read_text()
        return dict(re.findall(r"^``([A-Z_]+_MS)`` +(\d+) ", text, re.MULTILINE))

    @cites("RD-16", "must be put together from these texts, with nothing between them")
    def test_a_script_is_put_together_as_the_page_says(self):
        head = "".join(f"local {n} = {v}\n" for n, v in self.read_constants().items())
        for path in FOLDER.glob("*.lua"):
            own = path.read_text()
            uses = re.search("^-- Uses: (.*)", own, re.MULTILINE)
            names = ["common", *(uses[1].split() if uses else ())]
            texts = [(FOLDER / f"{name}.lua").read_text() for name in names]
            self.assertEqual(get_script(path.stem).text, "".join([head, *texts, own]))

    @cites("RD-17", "must be called with one key")
    def test_the_call_on_the_page_sends(self):
        text = (REPOSITORY / "specs" / "redis.rst").read_text()
        call = re.search("^    EVALSHA <sha> (.*)", text, re.MULTILINE)[1].split()
        shard = self.shard("thumbnails")
        self.assertEqual(call[1], "channels:5f0c2a9b:")
        call[1] = shard.keys
        self.assertEqual(command(shard, "EVAL", get_script("append").text, *call), [1])
        ((_, entry),) = self.store.take(["thumbnails"], 9)
        self.assertEqual(entry.payload, b"<envelope>")

    def test_every_script_that_is_called_is_on_the_page(self):
        text = (REPOSITORY / "specs" / "redis.rst").read_text()
        used = {"common", "once", "queues", "groups", "inboxes"}
        used |= {"accept_one", "append_one"}
        for path in FOLDER.glob("*.lua"):
            if path.stem not in used:
                self.assertIn(f"``{path.stem}``", text)


class QueueFormatTests(FormatTestCase):
    @cites("RD-6", "in 15 decimal digits, and the envelope")
    def test_elements_of_lists(self):
        before = self.now()
        self.store.append([("normal", 9, [b"1", b"2"])])
        first, second = self.ask("normal", "LRANGE", "l", 0, -1)
        self.assertEqual((first[15:], second[15:]), (b"1", b"2"))
        self.assertGreaterEqual(int(first[:15]), before + 60_000)
        self.assertLessEqual(int(first[:15]), self.now() + 60_000)

    @cites("RD-7", "must have one field, whose name is its kind")
    @cites("RD-7", "the length of each as four bytes, the lowest first")
    def test_entries_of_streams(self):
        self.store.append([("inbox!", 9, [b"one"])])
        self.store.append([("inbox!", 9, [b"one", b"three"])])
        self.store.register("group", "inbox!", 9, b"add")
        self.store.give_back([("inbox!", b"0", None)])
        entries = self.ask("inbox!", "XRANGE", "i", "-", "+")
        run = struct.pack("<II", 3, 5) + b"onethree"
        self.assertEqual(
            [fields for _, fields in entries],
            [
                [b"m 1 60000", b"one"],
                [b"m 2 60000", run],
                [b"c 1", b"add"],
                [b"w", b""],
            ],
        )

    @cites("RD-8", "and change in one step with the entries")
    def test_counters(self):
        for queue in ("normal", "inbox!"):
            self.store.append([(queue, 3, [b"1", b"2", b"3", b"4"])])
            self.store.take([queue], 1)
            fields = iter(self.ask(queue, "HGETALL", "q"))
            found = dict(zip(fields, fields))
            taken = 1 if queue == "normal" else 3
            for name, number in (
                (b"sent", 3),
                (b"refused", 1),
                (b"delivered", taken),
                (b"pending", 3 - taken),
            ):
                self.assertEqual(int(found[name]), number, name)
            self.assertIn(b"second", found)

    def test_processes_without_a_lease_do_not_wait(self):
        self.store.take(["normal"], 1, wait=True)
        self.store.claim([], ["inbox!"])
        self.ask("normal", "ZADD", "w", 1, "gone")
        for queue in "normal", "inbox!":
            self.assertEqual(self.store.queues()[queue][1], 1)
        self.ask("inbox!", "SET", "o", "gone", "PX", 10_000)
        self.assertEqual(self.store.queues()["inbox!"][1], 0)

    @cites("RD-9", "must name its sender and a number that grows")
    def test_repeated_calls(self):
        shard = self.shard()
        script = get_script("append")
        words = (60000, "normal", 9, 1, b"1")
        for number in (1, 1, 2, 1, 2):
            command(shard, "EVAL", script.text, 1, shard.keys, "sender", number, *words)
        self.assertEqual(len(self.store.take(["normal"], 9)), 2)
        self.assertEqual(command(shard, "GET", f"{shard.keys}s:sender"), b"2")


class InboxFormatTests(FormatTestCase):
    @cites("RD-10", "Whoever reads and is not named there becomes the reader")
    def test_another_reader_goes_on(self):
        other = self.make_store()
        self.addCleanup(other.close)
        for store, payload in ((self.store, b"1"), (other, b"2"), (self.store, b"3")):
            store.append([("inbox!", 9, [payload])])
            ((_, entry),) = store.take(["inbox!"], 9)
            self.assertEqual(entry.payload, payload)
            reader = self.ask("inbox!", "HGET", "q", "reader")
            self.assertEqual(reader.decode(), store._name)
        shard = self.shard("inbox!")
        (group,) = command(shard, "XINFO", "GROUPS", f"{shard.keys}i:inbox!")
        self.assertEqual(group[:2], [b"name", b"r"])

    @cites("RD-11", "must stay in the stream until its next call")
    def test_entries_stay_until_they_are_acknowledged(self):
        self.store.append([("inbox!", 9, [b"1"])])
        self.store.take(["inbox!"], 9)
        self.assertEqual(self.ask("inbox!", "XLEN", "i"), 1)
        self.store.take(["inbox!"], 9)
        self.assertEqual(self.ask("inbox!", "XLEN", "i"), 0)

    @cites("RD-12", "must say in accept what it accepts before")
    def test_what_is_accepted_is_counted_and_gone(self):
        self.store.take(["inbox!"], 9)
        self.store.append([("inbox!", 9, [b"1"])])
        ((name, offered),) = self.store.listen(9, ["inbox!"])
        self.assertEqual(self.ask("inbox!", "HGET", "q", "delivered"), None)
        self.store.accept(name, offered)
        self.assertEqual(self.ask("inbox!", "HGET", "q", "delivered"), b"1")
        self.assertEqual(self.ask("inbox!", "XLEN", "i"), 0)


class ProcessFormatTests(FormatTestCase):
    @cites("RD-13", "with a time to live of ten seconds")
    @cites("RD-14", "must ring one process for each message that waits for it")
    def test_leases_and_rings(self):
        shard = self.shard()
        bell = f"{shard.keys}p:{self.store.incarnation}"
        before = self.now()
        self.assertIs(self.store.renew(), True)
        left = command(shard, "PTTL", bell)
        self.assertLessEqual(left, 10_000)
        self.assertGreaterEqual(left + self.now() - before, 9_990)
        self.store.take(["normal"], 9, wait=True)
        waiting = self.ask("normal", "ZRANGE", "w", 0, -1)
        self.assertEqual(waiting, [self.store.incarnation.encode()])
        self.store.append([("normal", 9, [b"1"])])
        ((_, fields),) = command(shard, "XRANGE", bell, "-", "+")
        self.assertEqual(fields, [b"r", b"normal"])
        self.assertEqual(self.ask("normal", "ZCARD", "w"), 0)

    @cites("RD-15", "must stand in the hash of the group on its own shard")
    def test_members(self):
        before = self.now()
        self.store.claim([("group", "mine!", 5, 3)], ["mine!"])
        self.store.add("group", "normal", 7, 60)
        self.store.register("group", "new!", 6, b"add")
        fields = iter(self.ask("group", "HGETALL", "g"))
        found = {name: value.split(b" ") for name, value in zip(fields, fields)}
        owner = self.store.incarnation.encode()
        self.assertEqual(found[b"mine!"], [b"3", b"5", b"0", owner])
        for name, count, capacity, seconds in (
            (b"normal", b"0", b"7", 60),
            (b"new!", b"1", b"6", 86400),
        ):
            self.assertEqual(found[name][:2], [count, capacity])
            added = int(found[name][2]) - seconds * 1000
            self.assertTrue(before <= added <= self.now(), name)
            self.assertEqual(found[name][3], b"")


class ShardRules:
    @cites("RD-2", "must be on one shard: the one with the highest rank")
    def test_each_queue_is_on_its_shard(self):
        names = [f"queue.{number}" for number in range(30)]
        used = set()
        for name in names:
            self.store.append([(name, 9, [b"1"])])
            ranks = {}
            for shard in self.store._shards:
                text = f"{shard.epoch_key} {shard.server.identity} {name}"
                rank = hashlib.blake2b(text.encode(), digest_size=8).digest()
                ranks[rank] = shard
            shard = ranks[max(ranks)]
            used.add(shard)
            self.assertEqual(command(shard, "LLEN", f"{shard.keys}l:{name}"), 1)
        self.assertGreater(len(used), 1)


@tag("full")
class TwoHostsFormatTests(ShardRules, TwoHosts, FormatTestCase):
    pass


@tag("full")
class ClusterFormatTests(ShardRules, InCluster, FormatTestCase):
    def test_keys_have_the_tags_of_their_shards(self):
        for number, shard in enumerate(self.store._shards):
            self.assertEqual(shard.epoch_key, f"{self.prefix}{{{number}}}epoch")
            self.assertTrue(shard.keys.startswith(f"{self.prefix}{{{number}}}"))
