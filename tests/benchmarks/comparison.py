"""One comparison: several servers under the same load, in turns."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass

from .figures import Figure, Measurement, alternate, ratios
from .loader import Loader
from .servers import Server
from .sides import WORK

# How often each server is loaded in a round. The shorter the turns, the less the
# machine changes between two servers', and the sooner a turn is undisturbed.
TURNS = 20


@dataclass(frozen=True)
class Variant:
    """A way to serve a load: ours, a peer's, or a limit."""

    name: str
    # The server: its command, its variables and its folder.
    command: list
    environ: dict
    folder: str
    # The options of the load that are this variant's own.
    options: dict

    def start(self, stack, environment, load_name, options):
        """Return the Loader of a new server; both end with the stack."""
        log = WORK / "logs" / f"{self.name.replace(' ', '-')}.log"
        server = Server(self.command, self.environ, self.folder, log)
        stack.enter_context(server)
        options = {**options, **self.options}
        return stack.enter_context(Loader(environment, server, load_name, options))


@dataclass(frozen=True)
class Comparison:
    """
    Variants under one load; the first is ours, and the ratios are ours to others.

    ``unit`` is what one operation is called, in the plural; ``options`` are the
    load's.
    """

    title: str
    unit: str
    load_name: str
    options: dict
    variants: list
    turns: int = TURNS

    def run(self, environment, rounds, seconds, out=print):
        """Measure every variant in turns; print and return what came out."""
        out(f"\n{self.title}: {rounds} rounds of {seconds:g} s")
        runs = {variant.name: [] for variant in self.variants}
        for _ in range(rounds):
            for name, measurement in self.run_round(environment, seconds).items():
                runs[name].append(measurement)
        self.show(runs, out)
        return self.record(runs, seconds)

    def run_round(self, environment, seconds):
        """Start every variant and load them in turns; return a Measurement of each."""
        parts = {variant.name: [] for variant in self.variants}
        with ExitStack() as stack:
            loaders = [
                (
                    variant.name,
                    variant.start(stack, environment, self.load_name, self.options),
                )
                for variant in self.variants
            ]
            for name, loader in alternate(loaders, self.turns):
                parts[name].append(loader.measure_quietly(seconds / self.turns))
        return {name: Measurement.sum(those) for name, those in parts.items()}

    def show(self, runs, out):
        """Print a line for each variant, and ours divided by each other's."""
        first, *others = runs
        width = max(map(len, runs))
        for name, measurements in runs.items():
            rate = Figure.of(run.rate for run in measurements).show()
            cpu = Figure.of(run.cpu for run in measurements).show()
            loader = Figure.of(run.loader_share for run in measurements).median
            other = Figure.of(run.other_share for run in measurements).median
            out(
                f"  {name:{width}}  {rate} {self.unit}/s, {cpu} µs of CPU each, "
                f"loader {loader:.0%} and others {other:.0%} of a core"
            )
        for name in others:
            rate, cpu = (
                Figure.of(ratios(runs[first], runs[name], what)).show(3)
                for what in ("rate", "cpu")
            )
            out(f"  {first} / {name}: rate {rate}, CPU {cpu}")

    def record(self, runs, seconds):
        """Return everything that was measured, for the record."""
        return {
            "title": self.title,
            "unit": self.unit,
            "seconds": seconds,
            "options": self.options,
            "commands": {
                variant.name: " ".join(map(str, variant.command))
                for variant in self.variants
            },
            "runs": {name: list(map(asdict, those)) for name, those in runs.items()},
            "ratios": self.ratios(runs),
        }

    def ratios(self, runs):
        """Return the figures of our value divided by each other's."""
        first, *others = runs
        return {
            name: {
                what: asdict(Figure.of(ratios(runs[first], runs[name], what)))
                for what in ("rate", "cpu")
            }
            for name in others
        }
