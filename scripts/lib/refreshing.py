"""Write the patches anew from what the files in the built tree look like now."""

import re
from pathlib import Path

from . import overlay, rules, series
from .errors import EditedError, PatchError, ToolError
from .patching import FileDiff, Patch

EMPTY_HEADER = "".join(f"{name}:\n" for name in rules.FIELDS) + "\n"


class Refresh:
    """One refresh of the series from a BuiltTree."""

    def __init__(self, tree, force=False):
        self.tree = tree
        self.root = tree.root
        self.pristine = tree.pristine()
        self.record = tree.read_record()
        if self.record is None or self.record.upstream != tree.pin.sha256:
            raise ToolError(
                "build/ is not made of the pinned upstream release: run "
                "scripts/build_tree.py first."
            )
        self.patches = {patch.name: patch for patch in series.load(self.root)}
        if not force:
            self.refuse_older_tree()

    def refuse_older_tree(self):
        """Raise EditedError for a patch that the tree was not built from."""
        for patch in self.patches.values():
            if self.record.patches.get(patch.name) != overlay.sha(patch.body.encode()):
                raise EditedError(
                    f"patches/{patch.name} has changed since build/ was made: run "
                    "scripts/build_tree.py, or scripts/patches.py refresh --force to "
                    "take what is in build/ instead."
                )

    def create(self, name, paths):
        """Add a patch that owns upstream's files ``paths``, its header empty."""
        name = name.removesuffix(".patch") + ".patch"
        if name in self.patches:
            raise PatchError(f"patches/{name} is there already: use --add.")
        if not rules.NAME.fullmatch(name):
            raise PatchError(f"{name} is not core/SLUG or docs/SLUG, without numbers.")
        self.patches[name] = Patch(name, EMPTY_HEADER, "", ())
        self.add(name, paths)
        return name

    def add(self, name, paths):
        """Give a patch more of upstream's files."""
        name = name.removesuffix(".patch") + ".patch"
        if name not in self.patches:
            raise PatchError(f"There is no patches/{name}: use --new.")
        patch = self.patches[name]
        owned = {diff.path: p.name for p in self.patches.values() for diff in p.diffs}
        for path in paths:
            path = re.sub(r"^(\./)?(build/)?", "", path)
            if path in owned:
                raise PatchError(f"{path} belongs to patches/{owned[path]} already.")
            if path not in self.find_edited():
                raise PatchError(f"{path} is no file of upstream's edited in build/.")
            patch = Patch(name, patch.header, "", (*patch.diffs, FileDiff(path, ())))
        self.patches[name] = patch

    def find_edited(self):
        """Return the paths of all of upstream's files that differ in the tree."""
        return [
            path
            for path in overlay.walk(self.pristine)
            if not overlay.same_file(self.tree.path / path, self.pristine / path)
            and overlay.read(self.tree.path / path)
            not in (None, overlay.read(self.pristine / path))
        ]

    def find_unowned(self):
        """Return the paths of edited files that belong to no patch."""
        owned = {diff.path for patch in self.patches.values() for diff in patch.diffs}
        return [path for path in self.find_edited() if path not in owned]

    def write(self):
        """Write every patch whose text has changed; return their names."""
        texts = {name: self.export(patch) for name, patch in self.patches.items()}
        listed = series.read_names(self.root)
        changed = []
        for name, text in texts.items():
            path = Path(self.root, series.PATCHES, name)
            if overlay.read(path) != text.encode():
                overlay.write(path, text.encode())
                changed.append(name)
            if name not in listed:
                with open(path.parents[1] / "series", "a", encoding="utf-8") as file:
                    file.write(f"{name}\n")
        self.tree.build()
        return changed

    def export(self, patch):
        text = rules.export(patch, self.pristine, self.read)
        if not text:
            raise PatchError(
                f"patches/{patch.name} would change nothing any more: delete it and "
                "its line in patches/series."
            )
        return text

    def read(self, path):
        """Return the text of a file of upstream's in the tree."""
        try:
            return (self.tree.path / path).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(f"build/{path} is no text file: {error}.") from error
