"""Several layers in turns, and what came out of it against what is promised."""

from dataclasses import asdict, dataclass

from .figures import Figure, alternate
from .layers_figures import show_table
from .layers_processes import Place


@dataclass(frozen=True)
class LayerComparison:
    """
    Variants that are measured in turns, in each round once.

    Workers and servers live for the whole of it; every second round goes backward.
    """

    title: str
    unit: str
    variants: list
    targets: list
    # How the figures are shown.
    digits: int = 0
    # What of a round's seconds one turn takes.
    part: float = 1.0

    def run(self, environment, rounds, seconds, out=print):
        """Measure; print and return what came out."""
        out(f"\n{self.title}: {rounds} rounds of {seconds * self.part:g} s")
        runs = {variant.name: [] for variant in self.variants}
        with Place(environment, self.title.split(":")[0]) as place:
            turns = [(variant.name, variant.start(place)) for variant in self.variants]
            for name, turn in turns:
                turn(seconds * self.part / 4)  # Warms up.
            for name, turn in alternate(turns, rounds):
                runs[name].append(place.quietly(lambda: turn(seconds * self.part)))
            versions = place.versions()
        return self.conclude(runs, versions, out)

    def conclude(self, runs, versions, out):
        """Print the figures; return them for the record."""
        self.show(runs, out)
        targets = [target.judge(runs) for target in self.targets]
        for target in targets:
            out(f"  {target['text']}")
        return {
            "title": self.title,
            "unit": self.unit,
            "servers": versions,
            **self.about(),
            "runs": runs,
            "targets": targets,
        }

    def about(self):
        """Return what the record says of the variants."""
        return {
            "layers": {
                variant.name: {**asdict(variant.layer), "normal": variant.normal}
                for variant in self.variants
            }
        }

    def show(self, runs, out):
        """Print a line for each variant."""
        keys = list(dict.fromkeys(key for rs in runs.values() for key in rs[0]))
        keys = [key for key in keys if key not in ("value", "seconds")]
        rows = [["", self.unit, *keys]]
        for name, measured in runs.items():
            figure = Figure.of(run["value"] for run in measured).show(self.digits)
            rows.append([name, figure, *(_median(measured, key) for key in keys)])
        show_table(rows, out)


def _median(measured, key):
    if key not in measured[0]:
        return ""
    median = Figure.of(run[key] for run in measured).median
    if key in ("lost", "others"):
        return f"{median:.0%}"
    return f"{median:.2f}"
