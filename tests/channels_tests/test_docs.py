"""The pages about channels say what the code does."""

import ast
import inspect
import re
from importlib import import_module

import django.channels
from django.channels import exceptions, limits, runserver, signals
from django.core.management import load_command_class
from django.dispatch import Signal
from django.test import SimpleTestCase

from .chat import REPOSITORY
from .processes import ROOT

DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.txt"))

DIRECTIVE = re.compile(
    r"^(?P<indent> *)\.\. (?P<kind>module|currentmodule|class|exception|function|data|"
    r"method|attribute):: (?P<name>[\w.]+)(?P<signature>\(.*\))?$",
    re.MULTILINE,
)
# Roles that upstream's documentation and the ones of Sphinx know.
ROLES = {
    "class",
    "data",
    "djadmin",
    "doc",
    "exc",
    "file",
    "func",
    "meth",
    "mod",
    "pep",
    "ref",
    "setting",
    "tfilter",
}
LIMIT_UNITS = {
    "_BYTES": "Bytes of ",
    "_PER_SECOND": "Messages that a socket sends in a second",
    "_SECONDS": "Seconds until ",
    "_MESSAGES": "Messages of a socket that wait, in each direction",
    "_CHECK_ORIGIN": "Whether ",
}


def read(name):
    return (DOCS / name).read_text()


def documented_names():
    """Return {dotted name: signature or None} of the reference."""
    names = {}
    for page in "ref/channels/api.txt", "ref/channels/backends.txt":
        module = owner = ""
        for entry in DIRECTIVE.finditer(read(page)):
            kind, name = entry["kind"], entry["name"]
            if kind.endswith("module"):
                module = name
                continue
            if entry["indent"]:
                name = f"{owner}.{name}"
            else:
                owner = name
            names[f"{module}.{name}"] = entry["signature"]
    return names


def resolve(dotted_name):
    """Return what a documented name stands for."""
    parts = dotted_name.split(".")
    size = next(n for n in (4, 3, 2) if is_module(".".join(parts[:n])))
    value = import_module(".".join(parts[:size]))
    for part in parts[size:]:
        value = getattr(value, part)
    return value


def is_module(name):
    try:
        return inspect.ismodule(import_module(name))
    except ImportError:
        return False


def in_one_form(signature):
    """Return the arguments of "(a, b=1)" without self, whatever the quotes."""
    arguments = ast.parse(f"def f{signature}: pass").body[0].args
    arguments.args = [item for item in arguments.args if item.arg != "self"]
    return ast.unparse(arguments)


class PageTests(SimpleTestCase):
    def test_every_page_says_that_it_is_provisional(self):
        self.assertGreaterEqual(len(PAGES), 8)
        for page in PAGES:
            with self.subTest(page=page.relative_to(DOCS)):
                before_text, admonition, _ = page.read_text().partition(
                    ".. admonition:: Provisional\n"
                )
                self.assertTrue(admonition)
                # Nothing but the title comes first.
                self.assertEqual(len(before_text.strip().splitlines()), 3)

    def test_every_title_is_framed_in_its_length(self):
        for page in PAGES:
            with self.subTest(page=page.relative_to(DOCS)):
                over, title, under = page.read_text().splitlines()[:3]
                self.assertEqual({over, under}, {"=" * len(title)})

    def test_every_role_is_known(self):
        for page in PAGES:
            with self.subTest(page=page.relative_to(DOCS)):
                used = set(re.findall(r"(?<!`):([a-z:]+):`[^`]", page.read_text()))
                self.assertLessEqual(used, ROLES)

    def test_every_link_leads_to_a_page(self):
        """What :doc: names is in the checkout, here or upstream."""
        checkout = ROOT / "docs"
        for page in PAGES:
            folder = page.relative_to(DOCS).parent
            for target in re.findall(
                r":doc:`(?:[^`<]*<)?([^`>]+)>?`", page.read_text()
            ):
                with self.subTest(page=page.relative_to(DOCS), target=target):
                    path = target[1:] if target.startswith("/") else folder / target
                    self.assertTrue((checkout / f"{path}.txt").exists())

    def test_every_page_is_in_an_index(self):
        patch = (REPOSITORY / "patches" / "docs" / "indexes.patch").read_text()
        listed = set(re.findall(r"^\+   (\S+)$", patch, re.MULTILINE))
        self.assertEqual(listed, {"channels", "channels/index"})
        index = read("ref/channels/index.txt")
        for page in (DOCS / "ref" / "channels").glob("*.txt"):
            if page.stem != "index":
                self.assertIn(f"\n   {page.stem}\n", index)

    def test_texts_of_errors_and_commands_are_the_real_ones(self):
        """The line that runserver prints without Daphne begins as quoted."""
        source = inspect.getsource(runserver)
        self.assertIn("WebSockets are not served: ", source)
        self.assertIn("install Daphne", source)
        self.assertIn(
            "``WebSockets are not served: install Daphne", read("intro/channels.txt")
        )


class ReferenceTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = documented_names()

    def test_public_names_are_documented(self):
        """The names of __all__, all exceptions and all signals are described."""
        public = {f"django.channels.{name}" for name in django.channels.__all__}
        for module, kind in (exceptions, Exception), (signals, Signal):
            public |= {
                f"{module.__name__}.{name}"
                for name, value in vars(module).items()
                if (inspect.isclass(value) and issubclass(value, Exception))
                and value.__module__ == module.__name__
                or isinstance(value, kind)
            }
        asgi = import_module("django.channels.asgi")
        elsewhere = {"channel_layers", "InvalidChannelLayerError"}
        public |= {f"django.channels.asgi.{n}" for n in set(asgi.__all__) - elsewhere}
        self.assertEqual(public - set(self.names), set())

    def test_documented_names_exist(self):
        """What is described is there; attributes of instances are not looked at."""
        for name in self.names:
            with self.subTest(name=name):
                if self.names[name] is None and not self.is_global(name):
                    continue
                resolve(name)

    def test_documented_signatures_are_the_real_ones(self):
        for name, signature in self.names.items():
            if signature is None:
                continue
            with self.subTest(name=name):
                real = str(inspect.signature(resolve(name)))
                self.assertEqual(in_one_form(signature), in_one_form(real))

    def test_methods_of_the_contract_are_documented(self):
        """Every method of a layer is described, its asynchronous form apart."""
        base = "django.channels.backends.base.BaseChannelLayer"
        methods = {
            name
            for name, value in vars(resolve(base)).items()
            if callable(value) and not name.startswith("_")
        }
        described = {n.rpartition(".")[2] for n in self.names if n.startswith(base)}
        gone = {"receive_many", "group_channels"}
        classes = {"ChannelFull", "MessageTooLarge"}
        for_layers = {"get_capacity", "after_fork", "count_refused"}
        expected = {n for n in methods if not (n[0] == "a" and n[1:] in methods)}
        self.assertEqual(expected - described - gone - classes - for_layers, set())

    def is_global(self, name):
        owner = name.rpartition(".")[0]
        return owner not in self.names


class SettingsTests(SimpleTestCase):
    def rows(self):
        """Yield the columns of the table of limits."""
        table = read("ref/channels/settings.txt").partition(".. list-table::")[2]
        for row in re.split(r"\n   \* - ", table.partition("\nThe *interface*")[0])[2:]:
            yield [cell.strip() for cell in row.split("\n     - ")]

    def test_limits_are_those_of_the_code(self):
        """The table has the names, in their order, and the defaults."""
        documented = [(name.strip("`"), default) for name, default, *_ in self.rows()]
        real = [(name, str(value)) for name, value in limits.DEFAULT_LIMITS.items()]
        self.assertEqual(documented, real)

    def test_limits_say_their_unit_and_who_enforces_them(self):
        for name, _, meaning, beyond, enforcer in self.rows():
            with self.subTest(name=name):
                name = name.strip("`")
                unit = next(u for end, u in LIMIT_UNITS.items() if name.endswith(end))
                self.assertTrue(meaning.startswith(unit), meaning)
                self.assertRegex(
                    beyond, r"^(((Refused|Closed), )?\d{3,4}|The next is sent)$"
                )
                by_server = name == "WEBSOCKET_FRAME_BYTES"
                self.assertEqual(enforcer, "ASGI server" if by_server else "Interface")


class CommandTests(SimpleTestCase):
    def test_options_are_documented(self):
        """Every option that channels add to a command is described."""
        text = read("ref/channels/commands.txt")
        names = [names[0] for names, *_ in runserver.OPTIONS]
        parser = load_command_class("django.core", "runworker").create_parser("", "")
        common = {
            "--version",
            "--verbosity",
            "--settings",
            "--pythonpath",
            "--traceback",
        }
        common |= {"--no-color", "--force-color", "--skip-checks", "--help"}
        names += [
            option
            for action in parser._actions
            for option in action.option_strings
            if option.startswith("--") and option not in common
        ]
        self.assertGreaterEqual(len(names), 8)
        for name in names:
            with self.subTest(option=name):
                self.assertRegex(text, rf"(``|:: ){name}\b")
