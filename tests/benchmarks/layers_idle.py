"""What readers that wait cost while nothing comes."""

import time
from dataclasses import asdict, dataclass

from .layers_figures import Target, percent, show_table
from .layers_processes import Place

# How long nothing happens, in seconds, and how long before that nobody looks.
IDLE_SECONDS = 10
SETTLE_SECONDS = 1
# How many shares of a core a reader, or its server, may use.
MOST_SHARE = 0.01


@dataclass(frozen=True)
class Idle:
    """
    CPU of processes with a reader in a thread and one on a loop, and of servers.

    All of them wait at the same time. Each has a server of its own, and another
    server that nobody uses shows what the server costs by itself.
    """

    title: str
    variants: list
    unit: str = "of a core"
    targets: tuple = ()

    def run(self, environment, rounds, seconds, out=print):
        """Measure once; print and return what came out."""
        out(f"\n{self.title}: {IDLE_SECONDS} s, all at once")
        with Place(environment, "idle") as place:
            workers, services = {}, {}
            for variant in self.variants:
                (workers[variant.name],), service = variant.workers(place, 1)
                if service is not None:
                    services[variant.name] = service
                    kind = variant.layer.server
                    services[f"{kind} alone"] = place.service(kind, "alone")
            for worker in workers.values():
                worker.ask("idle")
            time.sleep(SETTLE_SECONDS)
            readers, servers = watch(workers), watch(services)
            begun = time.monotonic()
            time.sleep(IDLE_SECONDS)
            taken = time.monotonic() - begun
            readers, servers = watch(workers, readers), watch(services, servers)
            versions = place.versions()
        runs = {name: [self.shares(name, taken, readers, servers)] for name in workers}
        return self.conclude(runs, versions, out)

    def shares(self, name, taken, readers, servers):
        """Return what a layer used, and its server more than without it."""
        share = {"value": readers[name] / taken, "seconds": taken}
        if name in servers:
            variant = next(v for v in self.variants if v.name == name)
            share["server"] = servers[name] / taken
            share["alone"] = servers[f"{variant.layer.server} alone"] / taken
            share["more"] = max(share["server"] - share["alone"], 0)
        return share

    def conclude(self, runs, versions, out):
        """Print the shares; return them for the record."""
        rows = [["", "process", "server", "server alone"]]
        for name, (share,) in runs.items():
            rows.append([name, percent(share["value"])])
            rows[-1] += [
                percent(share[key]) if key in share else "-"
                for key in ("server", "alone")
            ]
        show_table(rows, out)
        targets = []
        for variant in self.variants:
            if variant.layer.form == "channels":
                continue
            keys = ["value", "more"] if "more" in runs[variant.name][0] else ["value"]
            for key in keys:
                target = Target("at most", MOST_SHARE, variant.name, key=key, digits=4)
                targets.append(target.judge(runs))
        for target in targets:
            out(f"  {target['text']}")
        return {
            "title": self.title,
            "servers": versions,
            "layers": {v.name: asdict(v.layer) for v in self.variants},
            "runs": runs,
            "targets": targets,
        }


def watch(parties, before=None):
    """Return the CPU seconds of each, since those before."""
    before = before or {}
    return {
        name: party.cpu_seconds() - before.get(name, 0)
        for name, party in parties.items()
    }
