"""manage.py channels, and the table it writes."""

import json
import os
from io import StringIO
from unittest import mock

from django.channels import monitor
from django.channels.exceptions import LayerUnavailable
from django.core.management import (
    BaseCommand,
    CommandError,
    call_command,
    load_command_class,
)
from django.test import SimpleTestCase, override_settings

from .chat import REPOSITORY
from .layers import MEMORY, SpanningLayer, default_layer, layer_settings
from .third_party import SyncOnlyLayer
from .utils import patch_for

WIDE = os.terminal_size((170, 50))
LOW = os.terminal_size((90, 20))
COMMAND = "django.core.management.commands.channels"


class Terminal(StringIO):
    def isatty(self):
        return True


class UncountedLayer(SpanningLayer):
    extensions = ()


class UnfinishedLayer(SyncOnlyLayer):
    spans_processes = True

    def queues(self):
        return super(SyncOnlyLayer, self).queues()


class CommandTestCase(SimpleTestCase):
    layer_class = SpanningLayer

    def setUp(self):
        layer = default_layer(layer_class=self.layer_class, capacity=5)
        self.layer = self.enterContext(layer)
        # All that a test does happens at once.
        now = self.layer._store.clock()
        patch_for(self, self.layer._store, "clock", lambda: now)

    def call(self, *args, stdout=None, **kwargs):
        """Return what the command writes to standard output and error."""
        stdout, stderr = stdout or StringIO(), StringIO()
        call_command("channels", *args, stdout=stdout, stderr=stderr, **kwargs)
        return stdout.getvalue(), stderr.getvalue()

    def send(self):
        """Put messages of all kinds onto the layer."""
        self.layer.send_batch([("thumbnails", {"secret": 1})] * 7)
        self.layer.send("body?x", {"secret": 1})
        for name in ("in!a", "in!b", "normal"):
            self.layer.group_add("chat.lobby", name)
        self.layer.group_add("chat.empty", "normal")
        self.layer.send_group("chat.lobby", {})
        self.layer.receive(["normal"])


class TableTests(CommandTestCase):
    def test_the_table_has_channels_by_depth_and_groups(self):
        self.send()
        output, errors = self.call()
        self.assertEqual(errors, "")
        title, _, *lines = output.splitlines()
        self.assertEqual(
            title, f"Channel layer default ({__package__}.layers.SpanningLayer)"
        )
        rows = [line.split() for line in lines]
        self.assertEqual(
            [row[:2] for row in rows],
            [
                ["Channel", "Depth"],
                ["thumbnails", "5"],
                ["in!", "2"],
                ["body?x", "1"],
                ["normal", "0"],
                ["Total", "8"],
                [],
                ["Group", "Inboxes"],
                ["chat.lobby", "1"],
                ["chat.empty", "0"],
            ],
        )
        self.assertEqual(
            rows[0], "Channel Depth Age Sent/s Full/s Readers Dropped Expired".split()
        )
        self.assertEqual(rows[1][3:], ["5.0", "2.0", "0", "0", "0"])
        self.assertEqual(rows[8], ["chat.lobby", "1", "1"])

    def test_no_line_is_wider_than_80_columns(self):
        self.layer.send(99 * "a", {})
        self.layer.send("b" * 90 + "?" + "c" * 8, {})
        self.layer.group_add(99 * "g", "a")
        output, _ = self.call()
        for line in output.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertRegex(output, r"\na+\.\.\.a+ +1 ")
        self.assertRegex(output, r"\nb+\.\.\.b*\?c{8} +1 ")
        self.assertRegex(output, r"\ng+\.\.\.g+ +0 +1\n")

    def test_a_wider_terminal_shows_longer_names(self):
        self.layer.send(99 * "a", {})
        with mock.patch(f"{COMMAND}.shutil.get_terminal_size", return_value=WIDE):
            output, _ = self.call(stdout=Terminal())
        self.assertIn(99 * "a", output)
        self.assertTrue(all(len(line) <= 170 for line in output.splitlines()))

    def test_what_nobody_reads_comes_behind_what_somebody_waits_for(self):
        snapshot = monitor.take_snapshot(self.layer)
        unused = self.layer.statistics("unused")
        snapshot["channels"] = {
            name: {**unused, "readers": readers}
            for name, readers in (("a", 0), ("b", 1), ("c", 0), ("d", 2))
        }
        lines = monitor.format_snapshot(snapshot)
        self.assertEqual([line[0] for line in lines[1:5]], ["b", "d", "a", "c"])

    def test_an_empty_layer_says_so(self):
        output, _ = self.call()
        self.assertIn("\n(no channels)\n", output)
        self.assertNotIn("Group", output)

    def test_patterns_select_channels_and_groups(self):
        self.send()
        output, _ = self.call("in*", "chat.l*")
        self.assertIn("\nin! ", output)
        self.assertIn("\nchat.lobby ", output)
        for name in ("thumbnails", "body", "normal", "chat.empty"):
            self.assertNotIn(name, output)
        self.assertRegex(output, r"\nTotal +2 ")

    def test_verbosity_adds_what_the_layer_says_of_itself(self):
        output, _ = self.call(verbosity=2)
        self.assertIn("SpanningLayer: expiry 60 s", output)

    def test_no_content_is_shown(self):
        self.send()
        for args in ((), ("--json",)):
            self.assertNotIn("secret", self.call(*args)[0])


class FormatTests(SimpleTestCase):
    def test_ages_have_a_unit(self):
        for seconds, text in (
            (0, "0.0s"),
            (0.04, "0.0s"),
            (9.94, "9.9s"),
            (59.9, "59s"),
            (60, "1.0m"),
            (3599, "59m"),
            (5400, "1.5h"),
            (86400 * 12, "12d"),
        ):
            with self.subTest(seconds=seconds):
                self.assertEqual(monitor._show_seconds(seconds), text)

    def make_snapshot(self, channels, groups):
        statistics = {key: 0 for _, _, key in monitor.COLUMNS}
        return {
            "total": statistics,
            "channels": {f"channel.{n}": statistics for n in range(channels)},
            "groups": {f"g.{n}": {"inboxes": 1, "channels": 1} for n in range(groups)},
        }

    def test_a_table_is_no_higher_than_its_terminal(self):
        for channels, groups, height, shown in (
            (3, 2, 24, (3, 2)),
            (100, 2, 24, (17, 2)),
            (100, 0, 24, (21, 0)),
            (3, 100, 24, (3, 16)),
            (100, 100, 24, (9, 9)),
            (100, 100, 3, (0, 0)),
        ):
            with self.subTest(channels=channels, groups=groups):
                snapshot = self.make_snapshot(channels, groups)
                lines = monitor.format_snapshot(snapshot, height=height)
                self.assertLessEqual(len(lines), max(height, 6))
                counts = tuple(
                    len([line for line in lines if line.startswith(prefix)])
                    for prefix in ("channel.", "g.")
                )
                self.assertEqual(counts, shown)
                if channels > counts[0]:
                    self.assertIn(f"({channels - counts[0]} more)", lines)


class JSONTests(CommandTestCase):
    def test_json_has_all_that_the_layer_counts(self):
        self.send()
        snapshot = json.loads(self.call("--json")[0])
        self.assertEqual(snapshot["layer"], "default")
        self.assertEqual(snapshot["backend"], f"{__package__}.layers.SpanningLayer")
        self.assertIs(snapshot["spans_processes"], True)
        self.assertEqual(snapshot["total"], self.layer.statistics() | snapshot["total"])
        self.assertEqual(set(snapshot["channels"]), set(self.layer.queues()))
        queue = snapshot["channels"]["thumbnails"]
        self.assertEqual(queue["messages_pending"], 5)
        self.assertEqual(queue["channel_full_count"], 2)
        self.assertEqual(queue["readers"], 0)
        self.assertEqual(
            snapshot["groups"],
            {
                "chat.lobby": {"inboxes": 1, "channels": 1},
                "chat.empty": {"inboxes": 0, "channels": 1},
            },
        )

    def test_json_can_be_filtered(self):
        self.send()
        snapshot = json.loads(self.call("--json", "in!", "body*")[0])
        self.assertEqual(set(snapshot["channels"]), {"in!", "body?x"})
        self.assertEqual(snapshot["total"]["messages_pending"], 3)
        self.assertEqual(snapshot["groups"], {})


class WatchTests(CommandTestCase):
    def watch(self, *args, looks=3, stdout=None):
        """Run the command until it has looked so often."""
        pauses = []

        def wait(seconds):
            pauses.append(seconds)
            self.layer.send("a", {})
            if len(pauses) == looks:
                raise KeyboardInterrupt

        with mock.patch(f"{COMMAND}.threading.Event") as event:
            event.return_value.wait = wait
            output, errors = self.call(*args, stdout=stdout)
        return output, errors, pauses

    def test_it_looks_again_until_it_is_interrupted(self):
        output, _, pauses = self.watch("--watch")
        self.assertEqual(pauses, [2, 2, 2])
        self.assertEqual(output.count("Channel layer default"), 3)
        self.assertRegex(output, r"\na +2 ")
        self.assertNotIn("\x1b", output)

    def test_the_pause_is_given_in_seconds(self):
        self.assertEqual(self.watch("--watch=0.5")[2], [0.5] * 3)
        self.assertEqual(self.watch("--watch", "7", looks=1)[2], [7])

    def test_json_is_one_line_for_each_look(self):
        output, _, _ = self.watch("--watch", "--json")
        snapshots = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([s["total"]["messages_pending"] for s in snapshots], [0, 1, 2])

    def test_a_terminal_is_cleared_and_not_filled_beyond_its_height(self):
        for n in range(50):
            self.layer.send(f"channel.{n}", {})
        with mock.patch(f"{COMMAND}.shutil.get_terminal_size", return_value=LOW):
            output, _, _ = self.watch("--watch", stdout=Terminal())
        first, *screens = output.split("\x1b[2J\x1b[H")
        self.assertEqual(first, "")
        self.assertEqual(len(screens), 3)
        for screen in screens:
            self.assertLess(len(screen.splitlines()), 20)
            self.assertIn(" more)", screen)

    def test_a_store_that_is_away_is_waited_for(self):
        queues = self.layer.channel_layer.queues
        away = mock.Mock(side_effect=[LayerUnavailable("It is away."), queues()])
        with mock.patch.object(self.layer.channel_layer, "queues", away):
            output, errors, _ = self.watch("--watch", looks=2)
        self.assertEqual(
            errors, f"Channel layer {self.layer} cannot be reached: It is away.\n"
        )
        self.assertEqual(output.count("Channel layer default"), 1)

    def test_a_pause_out_of_range_is_refused(self):
        for seconds in ("0", "-1", "nan", "inf"):
            with self.assertRaisesMessage(CommandError, "--watch must be a number of"):
                self.call(f"--watch={seconds}")


class DocumentationTests(SimpleTestCase):
    def test_options_and_columns_are_documented(self):
        page = REPOSITORY / "docs" / "ref" / "channels" / "commands.txt"
        text = page.read_text().partition("\n``runserver``\n")[0]
        parser = load_command_class("django.core", "channels").create_parser("", "")
        common = BaseCommand().create_parser("", "")
        options = {o for a in parser._actions for o in a.option_strings}
        options -= {o for a in common._actions for o in a.option_strings}
        self.assertEqual(options, {"--json", "--layer", "--watch"})
        for option in options:
            self.assertIn(f"\n.. django-admin-option:: {option}", text)
        for title, _, _ in monitor.COLUMNS + monitor.GROUP_COLUMNS:
            self.assertIn(f"``{title}``", text)


class RefusalTests(SimpleTestCase):
    def assertRefused(self, msg, *args):
        with self.assertRaisesMessage(CommandError, msg):
            call_command("channels", *args, stdout=StringIO(), stderr=StringIO())

    @override_settings(CHANNEL_LAYERS=layer_settings())
    def test_an_unknown_layer_is_named(self):
        self.assertRefused(
            "There is no channel layer 'other': CHANNEL_LAYERS has default.",
            "--layer=other",
        )

    @override_settings(CHANNEL_LAYERS={})
    def test_a_project_without_layers_is_told_so(self):
        self.assertRefused("There is no channel layer 'default': CHANNEL_LAYERS has ")

    @override_settings(CHANNEL_LAYERS=layer_settings(backend="no.such.Layer"))
    def test_a_layer_that_cannot_be_built_is_named(self):
        self.assertRefused("Cannot import BACKEND 'no.such.Layer'")

    def test_a_store_that_is_away_is_told(self):
        with default_layer(layer_class=SpanningLayer) as layer:
            error = LayerUnavailable("host:6379 refuses connections.")
            with mock.patch.object(layer.channel_layer, "queues", side_effect=error):
                msg = f"Channel layer {layer} cannot be reached: host:6379 refuses"
                self.assertRefused(msg)
                self.assertRefused(msg, "--json")

    def test_a_layer_without_statistics_is_refused(self):
        with default_layer(layer_class=UncountedLayer):
            self.assertRefused("counts nothing.")

    def test_a_layer_that_does_not_list_its_queues_is_refused(self):
        with default_layer(layer_class=UnfinishedLayer):
            self.assertRefused("UnfinishedLayer does not define queues().")


class MemoryTests(CommandTestCase):
    layer_class = None

    def setUp(self):
        self.layer = self.enterContext(default_layer())

    def test_a_layer_of_one_process_says_that_it_is_one(self):
        self.layer.send("a", {})
        output, errors = self.call()
        self.assertEqual(
            errors,
            f"Channel layer default ({MEMORY}) is apart in each process. This is what "
            "the process of this command has; that of a server has its own.\n",
        )
        self.assertRegex(output, r"\na +1 ")

    def test_json_stays_json(self):
        output, errors = self.call("--json")
        self.assertIs(json.loads(output)["spans_processes"], False)
        self.assertIn("is apart in each process", errors)
