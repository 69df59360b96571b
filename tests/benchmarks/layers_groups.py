"""What a send to a group costs a Redis, and what it costs in memory."""

import re
import time
from dataclasses import asdict, dataclass

from .figures import Figure
from .layers_figures import show_table
from .layers_processes import Place

SIZES = (1, 10, 100, 1000, 10_000)
# How often a group of each size is sent to; the layers of Channels take seconds
# for the largest.
SENDS = {1: 9, 10: 9, 100: 9, 1000: 3, 10_000: 3}
PEERS_SENDS = {1: 3, 10: 3, 100: 3, 1000: 1, 10_000: 1}
# What tells about the server itself.
OWN_COMMANDS = ("info",)


@dataclass(frozen=True)
class GroupTable:
    """
    Commands and bytes of one send to a group, until all members have it.

    The variants are three layers; the members are in so many processes.
    """

    title: str
    variants: list
    processes: int
    unit: str = "members"
    targets: tuple = ()

    def run(self, environment, rounds, seconds, out=print):
        """Measure every size; print and return what came out."""
        out(f"\n{self.title}:")
        runs = {}
        with Place(environment, f"groups-{self.processes}") as place:
            for variant in self.variants:
                runs[variant.name] = self.measure(variant, place)
            versions = place.versions()
        self.show(runs, out)
        targets = self.judge(runs[self.variants[0].name])
        for target in targets:
            out(f"  {target['text']}")
        return {
            "title": self.title,
            "servers": versions,
            "layers": {v.name: asdict(v.layer) for v in self.variants},
            "runs": runs,
            "targets": targets,
        }

    def measure(self, variant, place):
        """Return what each size of a group costs a layer."""
        (sender, *owners), service = variant.workers(place, 1 + self.processes)
        sends = SENDS if variant.layer.form == "sync" else PEERS_SENDS
        costs = {}
        for size in SIZES:
            group = f"bench.{size}"
            shares = spread(size, self.processes)
            for owner, share in zip(owners, shares):
                owner.tell("join", group=group, members=share)
            for owner in owners:
                owner.answer()
            measured = [
                self.send(sender, owners, shares, service, group)
                for _ in range(1 + sends[size])
            ]
            # The first one opens connections and loads scripts.
            costs[size] = combine(measured[1:])
        return costs

    def send(self, sender, owners, shares, service, group):
        """Send once; return the cost of it until all members have it."""
        first = ledger(service)
        before, cpu = ledger(service), service.cpu_seconds()
        begun = time.perf_counter()
        collecting = [(owner, n) for owner, n in zip(owners, shares) if n]
        for owner, share in collecting:
            owner.tell("collect", count=share)
        sent = sender.ask("send_group", group=group)
        for owner, _ in collecting:
            owner.answer()
        taken = time.perf_counter() - begun
        cpu, after = service.cpu_seconds() - cpu, ledger(service)
        cost = {key: after[key] - before.get(key, 0) for key in after}
        for key in ("input", "output"):  # Without what asking costs.
            cost[key] -= before[key] - first[key]
        return {
            **cost,
            "commands": sum(n for key, n in cost.items() if key.startswith("c:")),
            "bytes": cost["input"] + cost["output"],
            "send ms": sent * 1e3,
            "all ms": taken * 1e3,
            "server CPU ms": cpu * 1e3,
        }

    def show(self, runs, out):
        """Print a row for each size."""
        keys = ("commands", "bytes", "server CPU ms", "send ms", "all ms")
        out(f"  {', '.join(keys)}")
        rows = [["members", *runs]]
        for size in SIZES:
            rows.append([f"{size:,}"])
            for costs in runs.values():
                cost = costs[size]
                rows[-1].append(
                    f"{cost['commands']:,.0f}, {cost['bytes']:,.0f}, "
                    f"{cost['server CPU ms']:.2f}, "
                    f"{cost['send ms']:.2f}, {cost['all ms']:.1f}"
                )
        show_table(rows, out)

    def judge(self, costs):
        """Return whether our cost grows with processes only."""
        targets = []
        # As many members as there are processes are the first in each of them.
        least = costs[1 if self.processes == 1 else 10]
        for key in ("commands", "bytes"):
            ratio = costs[SIZES[-1]][key] / least[key]
            met = ratio <= 1.2
            text = (
                f"{key} for {SIZES[-1]:,} members / for a few in as many processes: "
                f"{ratio:.2f}; at most 1.2 is the target: {'met' if met else 'MISSED'}"
            )
            targets.append({"key": key, "median": ratio, "met": met, "text": text})
        return targets


def spread(size, processes):
    """Return how many members each process has."""
    return [(size + number) // processes for number in reversed(range(processes))]


def ledger(service):
    """Return what a Redis has done so far, by name."""
    stats = service.command("INFO", "stats")
    commands = service.command("INFO", "commandstats")
    done = {
        f"c:{name}": int(calls)
        for name, calls in re.findall(r"cmdstat_(\S+?):calls=(\d+)", commands)
        if name not in OWN_COMMANDS
    }
    for key in ("input", "output"):
        found = re.search(rf"total_net_{key}_bytes:(\d+)", stats)
        done[key] = int(found.group(1))
    return done


def combine(costs):
    """
    Return one cost: the medians of times, and the fewest commands and their bytes.

    Now and then a process renews its lease in between, which is not the send's.
    """
    fewest = min(costs, key=lambda cost: cost["commands"])
    times = {key for key in fewest if key.endswith(" ms")}
    medians = {key: Figure.of(cost[key] for cost in costs).median for key in times}
    return {**fewest, **medians}


@dataclass(frozen=True)
class MemoryGroup:
    """One layer in memory: microseconds of a send to a group, for each member."""

    name: str
    layer: object
    members: int
    idle: int
    normal: bool = False

    def start(self, place):
        """Fill the idle channels, join the group; return what measures a turn."""
        (worker,) = place.workers(self.name, self.layer.spec(place), 1)
        worker.ask("fill", queues=self.idle)
        worker.ask("join", group="bench", members=self.members)

        def turn(seconds):
            begun = time.monotonic()
            result = worker.ask("group", group="bench", seconds=seconds)
            deliveries = result["sends"] * self.members
            return {
                "value": (result["send"] + result["collect"]) / deliveries * 1e6,
                "send only": result["send"] / deliveries * 1e6,
                "seconds": time.monotonic() - begun,
            }

        return turn
