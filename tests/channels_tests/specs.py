"""
The specifications as data: requirements, message tables, and who cites them.

A requirement is a paragraph that begins with its id in bold, below a target of
that name, and says in bold what **must** be. A test cites it with
``@cites("CL-1", "words of the text")``. The keys of a message stand in one form
of bullets, below a title that is the message's name. scripts/specs.py checks all
of it; tests hold the messages that are really sent against the tables.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree

# Of a checkout and of the built tree alike.
ROOT = Path(__file__).parents[2]

# What docutils says from this level on is a problem (2 is a warning).
REPORT_LEVEL = 2

_id_re = re.compile(r"[A-Z]+-[0-9]+")
_must_re = re.compile(r"\bmust\b", re.IGNORECASE)
_key_re = re.compile(
    r"``(?P<key>[^`]+)`` \(\*(?P<types>[^*]+)\*\) -- (?P<meaning>.+?)\."
    r"( Optional; default ``(?P<default>[^`]+)``\.)?"
)
# What only the end of the form says.
_default_re = re.compile(r"\b(optional|default)\b", re.IGNORECASE)
_TYPES = {
    kind.__name__: kind for kind in (bool, bytes, dict, float, int, list, str)
} | {"None": type(None)}


class Requirement(NamedTuple):
    """A numbered paragraph: its id, its text, where it stands."""

    id: str
    text: str
    place: str


class Key(NamedTuple):
    """What a message table says about a key; ``types`` is a tuple of classes."""

    types: tuple
    optional: bool
    default: object


class Citation(NamedTuple):
    """What a test cites, and where; ``problem`` is what is wrong with its form."""

    id: str
    phrase: str
    place: str
    problem: str


class Spec:
    """One file of the specifications, parsed."""

    def __init__(self, path):
        self.path = Path(path)
        self.problems = []
        self.requirements = []
        self.tables = {}
        document = publish_doctree(
            self.path.read_text(encoding="utf-8"),
            source_path=str(self.path),
            settings_overrides={
                "_disable_config": True,
                "doctitle_xform": False,
                "file_insertion_enabled": False,
                "halt_level": 5,
                "raw_enabled": False,
                "report_level": REPORT_LEVEL,
                "warning_stream": False,
            },
        )
        self._read_messages(document)
        for node in document.findall(nodes.TextElement):
            is_text = isinstance(node, (nodes.paragraph, nodes.title, nodes.term))
            if is_text and not isinstance(node.parent, nodes.system_message):
                self._read_text(node)
        for node in document.findall(nodes.bullet_list):
            self._read_bullets(node)

    def _place(self, node):
        while node is not None and node.line is None:
            node = node.parent
        return f"{self.path}:{node.line if node is not None else 1}"

    def _complain(self, node, problem):
        self.problems.append(f"{self._place(node)}: {problem}")

    def _read_messages(self, document):
        messages = list(document.findall(nodes.system_message))
        messages += document.parse_messages + document.transform_messages
        for message in messages:
            if message["level"] >= REPORT_LEVEL:
                text = _normalize(message.children[0].astext())
                problem = f"{self.path}:{message.get('line', 1)}: {text}"
                if problem not in self.problems:
                    self.problems.append(problem)

    def _read_text(self, node):
        first = node.children[0] if node.children else None
        bold = [child.astext() for child in node.findall(nodes.strong)]
        labels = {name.upper() for name in node["ids"]}
        labels = {name for name in labels if _id_re.fullmatch(name)}
        if not isinstance(first, nodes.strong) or not _id_re.fullmatch(bold[0]):
            for label in labels:
                self._complain(node, f"The text below the target {label} has no id.")
            if _must_re.search(_prose(node)):
                self._complain(node, 'A text says "must" and has no id.')
            return
        id = bold[0]
        if labels != {id}:
            self._complain(node, f"{id} does not stand below a target of that name.")
        if not any(_must_re.match(text) for text in bold[1:]):
            self._complain(node, f'{id} has no "must" in bold.')
        text = _normalize(node.astext())
        self.requirements.append(Requirement(id, text, self._place(node)))

    def _read_bullets(self, bullets):
        if not any(_begins_with_literal(item) for item in bullets.children):
            return
        section = bullets.parent
        if not isinstance(section, nodes.section):
            return self._complain(bullets, "A message table stands below no title.")
        name = section.next_node(nodes.title).astext()
        if name in self.tables:
            self._complain(bullets, f"{name} has two message tables.")
        table = self.tables.setdefault(name, {})
        for item in bullets.children:
            try:
                key, content = _parse_key(_normalize(_raw(item)))
            except ValueError as error:
                self._complain(item, str(error))
                continue
            if key in table:
                self._complain(item, f"{name} has the key {key!r} twice.")
            table[key] = content


def _raw(item):
    return " ".join(child.rawsource or child.astext() for child in item.children)


def _begins_with_literal(item):
    paragraph = item.next_node(nodes.paragraph)
    return (
        paragraph is not None
        and paragraph.children
        and isinstance(paragraph.children[0], nodes.literal)
    )


def _normalize(text):
    return " ".join(text.split())


def _prose(node):
    """Return the text of a node without its literals."""
    return "".join(
        text.astext()
        for text in node.findall(nodes.Text)
        if not isinstance(text.parent, nodes.literal)
    )


def _parse_key(text):
    match = _key_re.fullmatch(text)
    if match is None or _default_re.search(match["meaning"]):
        raise ValueError(
            f"A key of a message must have the form ``key`` (*type*) -- meaning. "
            f"Optional; default ``x``., not: {text}"
        )
    names = match["types"].split(" or ")
    if unknown := [name for name in names if name not in _TYPES]:
        raise ValueError(
            f"The key {match['key']!r} has the type {unknown[0]!r}; a type is one of "
            f"{', '.join(sorted(_TYPES))}."
        )
    types = tuple(_TYPES[name] for name in names)
    default = match["default"]
    if default is None:
        return match["key"], Key(types, False, None)
    return match["key"], Key(types, True, _parse_default(match["key"], default, types))


def _parse_default(key, text, types):
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        # A str stands there as it is, without quotes.
        value = text
    if value is not None and type(value) not in types:
        value = text
    if value is not None and type(value) not in types:
        names = " or ".join(kind.__name__ for kind in types)
        raise ValueError(f"The key {key!r} has the default {text!r}, and is {names}.")
    return value


def read_specs(path):
    """Return the Spec of a file, or those of all files in a folder."""
    path = Path(path)
    return [Spec(p) for p in (sorted(path.rglob("*.rst")) if path.is_dir() else [path])]


def message_tables(path):
    """
    Return {message: {key: Key(types, optional, default)}} of a file or folder.

    Raise ValueError if a file has a problem.
    """
    tables = {}
    for spec in read_specs(path):
        if spec.problems:
            raise ValueError(spec.problems[0])
        tables.update(spec.tables)
    return tables


def read_citations(path):
    """Return what the tests in a Python file cite."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), str(path))
    found = []
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", ()):
            if not isinstance(decorator, ast.Call):
                continue
            function = decorator.func
            if getattr(function, "id", getattr(function, "attr", None)) == "cites":
                place = f"{path}:{decorator.lineno}"
                found.append(_read_citation(node, decorator, place))
    return found


def _read_citation(node, call, place):
    arguments = [getattr(a, "value", None) for a in call.args]
    is_text = [isinstance(a, str) and a.strip() for a in arguments]
    if len(arguments) != 2 or not all(is_text) or call.keywords:
        problem = "cites() takes two str, the id and some words of the text."
        return Citation("", "", place, problem)
    problem = ""
    if not node.name.startswith("test"):
        problem = f"{node.name} cites {arguments[0]} and is no test."
    return Citation(arguments[0], _normalize(arguments[1]), place, problem)


def find_test_files(root=ROOT):
    """Return the files whose tests may cite requirements."""
    suite = root / "django/test"
    files = sorted((root / "tests/channels_tests").rglob("*.py"))
    files += [suite / "channel_layers.py"]
    return files + sorted((suite / "layer_conformance").rglob("*.py"))


def find_problems(specs, test_files):
    """Return one line for each thing that is wrong with specs or citations."""
    problems = []
    requirements = {}
    tables = {}
    for spec in specs:
        problems += spec.problems
        for requirement in spec.requirements:
            first = requirements.setdefault(requirement.id, requirement)
            if first is not requirement:
                problems.append(
                    f"{requirement.place}: {requirement.id} is given already at "
                    f"{first.place}."
                )
        for name in spec.tables:
            if name in tables:
                problems.append(
                    f"{spec.path}: {name} has a message table already in "
                    f"{tables[name]}."
                )
            tables[name] = spec.path
    cited = set()
    for path in test_files:
        try:
            citations = read_citations(path)
        except (OSError, SyntaxError) as error:
            problems.append(f"{path}: {error}")
            continue
        for citation in citations:
            cited.add(citation.id)
            if problem := _check_citation(citation, requirements):
                problems.append(f"{citation.place}: {problem}")
    for id, requirement in requirements.items():
        if id not in cited:
            problems.append(f"{requirement.place}: No test cites {id}.")
    return problems


def _check_citation(citation, requirements):
    if citation.problem:
        return citation.problem
    if citation.id not in requirements:
        return f"A test cites {citation.id}, which is in no specification."
    if citation.phrase not in requirements[citation.id].text:
        return f"The text of {citation.id} has no {citation.phrase!r}."
