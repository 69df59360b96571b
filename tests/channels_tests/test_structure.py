"""The shape of the package: what is public, and who imports whom."""

import ast
import inspect
from pathlib import Path

import django.channels
from django.test import SimpleTestCase

PACKAGE = Path(django.channels.__file__).parent
PREFIX = "django.channels"


def imported_modules(path):
    """Return the modules of this package that a file imports, with their line."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                # Within backends/, say: relative to the file's own package.
                package = ".".join(
                    (PREFIX, *path.relative_to(PACKAGE).parts[: -node.level])
                )
                names = [node.module] if node.module else [a.name for a in node.names]
                yield from (f"{package}.{name}" for name in names)
            elif node.module == PREFIX:
                yield from (f"{PREFIX}.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


class ImportGraphTests(SimpleTestCase):
    def assertImportsOnly(self, folder, *allowed):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            for module in imported_modules(path):
                if not module.startswith(PREFIX):
                    continue
                with self.subTest(path=path.relative_to(PACKAGE), module=module):
                    names = tuple(f"{PREFIX}.{name}" for name in allowed)
                    self.assertTrue(
                        any(module == n or module.startswith(f"{n}.") for n in names)
                    )

    def test_backends_import_only_names_exceptions_and_themselves(self):
        self.assertImportsOnly("backends", "backends", "exceptions", "names")

    def test_the_interface_imports_neither_worker_nor_routing_nor_consumers(self):
        self.assertImportsOnly(
            "interface",
            "interface",
            "backoff",
            "exceptions",
            "freezing",
            "limits",
            "names",
            "security",
        )

    def test_the_worker_does_not_import_the_interface(self):
        for path in [*(PACKAGE / "worker").glob("*.py"), PACKAGE / "receiving.py"]:
            with self.subTest(path=path.relative_to(PACKAGE)):
                modules = imported_modules(path)
                parts = {part for module in modules for part in module.split(".")}
                self.assertFalse(parts & {"interface", "asgi", "daphne_server"})

    def test_nothing_but_the_daphne_server_imports_daphne(self):
        for path in PACKAGE.rglob("*.py"):
            if path.name == "daphne_server.py":
                continue
            with self.subTest(path=path.relative_to(PACKAGE)):
                modules = list(imported_modules(path))
                self.assertFalse(
                    [m for m in modules if m.startswith(("daphne.", "twi"))]
                )


class PublicNameTests(SimpleTestCase):
    def test_all_names_what_is_public(self):
        public = {
            name
            for name, value in vars(django.channels).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        self.assertEqual(set(django.channels.__all__), public)

    def test_the_package_says_that_it_is_provisional(self):
        self.assertIn("provisional", django.channels.__doc__)

    def test_every_module_and_public_name_has_a_docstring(self):
        for path in sorted(PACKAGE.rglob("*.py")):
            tree = ast.parse(path.read_text())
            for node in _documented_nodes(tree) if tree.body else ():
                with self.subTest(path=path.relative_to(PACKAGE), node=node):
                    self.assertTrue(ast.get_docstring(node))


def _documented_nodes(tree):
    """
    Yield a module and what is public in it.

    Methods of a class with bases may be overrides, which say nothing new.
    """
    yield tree
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        if not isinstance(node, (*functions, ast.ClassDef)) or _is_private(node):
            continue
        yield node
        if isinstance(node, ast.ClassDef) and not node.bases:
            for member in node.body:
                if isinstance(member, functions) and not _is_private(member):
                    yield member


def _is_private(node):
    return node.name.startswith("_")
