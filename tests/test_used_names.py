"""Nothing in the product is there for tests alone: every name in it is used by it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.product import ROOT, modules

# Called by a library, by name.
_CALLED = {
    ("buildperm.cargo.file_watch", "on_any_event"): "watchdog",
    ("buildperm.cli", "list_commands"): "click",
    ("buildperm.cli", "get_command"): "click",
    ("buildperm.cli", "resolve_command"): "click",
    ("buildperm.cli", "format_commands"): "click",
    ("buildperm.cli.crates_command", "parse_args"): "click",
    ("buildperm.cli.decide", "invoke"): "click",
    ("buildperm.cli.options", "resolve_envvar_value"): "click",
    ("buildperm.supervisor.syscalls", "_fields_"): "ctypes",
    ("buildperm.supervisor.wrapper_exec", "main"): "its code object is run within bubblewrap",
    ("buildperm.policy.kinds", "description"): "the schema of the grant table says it",
}
_TEXTUAL = re.compile(
    "(action|on|watch)_.*|[A-Z]+_BREAKPOINTS|BINDINGS|COMPONENT_CLASSES|CSS_PATH|TITLE|"
    "ENABLE_COMMAND_PALETTE|ESCAPE_TO_MINIMIZE|AUTO_FOCUS|can_replace|check_action|compose|"
    "_on_paste|"
    "get_default_screen|get_line_filters|get_suggestion|get_system_commands|notify_style_update|"
    "render_line|run_input_thread|send_message"
)
_REGISTERING = re.compile(r"on\(|click\.(command|group)\(|\w+\.command\(")
_PROGRAM = re.compile(r"from (buildperm[\w.]*) import (\w+)|(buildperm[\w.]*):(\w+)")

_IN_TEMPLATES = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_MEMBER = re.compile(r"\.([a-z]\w*)")


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A name that a module or a class defines."""

    module: str
    owner: str  # The class; empty for a module's own.
    name: str
    node: ast.stmt

    def __str__(self) -> str:
        return ".".join(filter(None, (self.module, self.owner, self.name)))

    @property
    def is_field(self) -> bool:
        """Whether it can be read by a key, as of a TypedDict."""
        return bool(self.owner) and isinstance(self.node, ast.AnnAssign)

    @property
    def is_called_from_elsewhere(self) -> bool:
        """Whether Python or a library calls it."""
        decorators = [ast.unparse(each) for each in getattr(self.node, "decorator_list", ())]
        return (
            self.name.startswith("__")
            or (self.module, self.name) in _CALLED
            or any(map(_REGISTERING.match, decorators))
            or (
                bool(self.owner)
                and self.module.startswith("buildperm.tui.")
                and _TEXTUAL.fullmatch(self.name) is not None
            )
        )


class Names:
    """All definitions of a product, and which of them are used."""

    def __init__(self, trees: Mapping[str, ast.Module], templates: Iterable[str] = ()) -> None:
        self._trees = trees
        self._templated = {
            name
            for template in templates
            for statement in _IN_TEMPLATES.findall(template)
            for name in _MEMBER.findall(statement)
        }
        self.all = [each for name in trees for each in _definitions(name, trees[name].body)]
        self._own: dict[tuple[str, str], list[Definition]] = {}
        self._fields: dict[str, list[Definition]] = defaultdict(list)  # By class, in order.
        self._members: dict[str, list[Definition]] = defaultdict(list)
        for each in self.all:
            self._own.setdefault((each.module, each.name), []).append(each)
            if each.is_field:
                self._fields[each.owner.rpartition(".")[2]].append(each)
            if each.owner:
                self._members[each.name].append(each)
        self._imported = {name: dict(_imports(trees[name])) for name in trees}
        self._used: set[Definition] = set()

    def unused(self) -> list[str]:
        """List what nothing uses that is used itself."""
        pending = [each for each in self.all if each.is_called_from_elsewhere]
        pending += [each for name in self._templated for each in self._members[name]]
        for name, tree in self._trees.items():
            for statement in _outside(tree.body):
                pending += self._meant(name, statement)
        while pending:
            each = pending.pop()
            if each not in self._used:
                self._used.add(each)
                pending += self._meant(each.module, each.node)
        return sorted(str(each) for each in self.all if each not in self._used)

    def _meant(self, module: str, node: ast.AST) -> Iterator[Definition]:
        """Yield what a piece of code uses; what it defines within is used by itself."""
        for each in _walk(node):
            match each:
                case ast.Name(name, ast.Load()):
                    yield from self._named(module, name)
                case ast.Attribute(ast.Name(owner), name, ast.Load()):
                    meant = self._module(module, owner)
                    yield from self._named(meant, name) if meant else self._members[name]
                case ast.Attribute(_, name, ast.Load()):
                    yield from self._members[name]
                case ast.MatchClass(found, patterns, names):
                    for name in names:
                        yield from self._members[name]
                    fields = self._fields[ast.unparse(found).rpartition(".")[2]]
                    for field, pattern in zip(fields, patterns, strict=False):
                        if ast.unparse(pattern) != "_":
                            yield field
                case ast.Constant(str(text)):
                    yield from (each for each in self._members[text] if each.is_field)
                    for named in _PROGRAM.finditer(text):  # In a program, or an entry of a table.
                        yield from self._named(named[1] or named[3], named[2] or named[4])
                case _:
                    pass

    def _named(self, module: str, name: str) -> Iterable[Definition]:
        if module not in self._trees:
            return ()
        own = self._own.get((module, name), [])
        source = self._imported[module].get(name)
        if source in (None, (module, name)) or any(not each.owner for each in own):
            return own
        return [*own, *self._named(*source)]  # A member of a class may have the same name.

    def _module(self, module: str, name: str) -> str:
        """Return the module that a name stands for; empty if it stands for something else."""
        source = ".".join(filter(None, self._imported[module].get(name, ())))
        return source if source in self._trees or source.partition(".")[0] != "buildperm" else ""


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                yield each.asname or each.name, (node.module, each.name)
        elif isinstance(node, ast.Import):
            for each in node.names:
                yield each.asname or each.name, (each.name, "")


def _definitions(module: str, body: Iterable[ast.stmt], owner: str = "") -> Iterator[Definition]:
    is_enum = False
    for node in body:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                yield Definition(module, owner, name, node)
            case ast.ClassDef(name):
                yield Definition(module, owner, name, node)
                is_enum = any("Enum" in ast.unparse(base) for base in node.bases)
                if not is_enum:  # Whose members are found by their values.
                    yield from _definitions(module, node.body, f"{owner}.{name}".strip("."))
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name):
                            yield Definition(module, owner, each.id, node)
            case ast.If() | ast.Try() | ast.With():
                yield from _definitions(module, _branches(node), owner)
            case _:
                pass


def _branches(node: ast.AST) -> list[ast.stmt]:
    parts = (getattr(node, name, []) for name in ("body", "orelse", "finalbody"))
    return [each for part in parts for each in part]


def _outside(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the code of a module that runs as it is imported, beside its definitions."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from node.decorator_list
            case ast.If() | ast.Try() | ast.With():
                yield from _outside(_branches(node))
                yield from [node.test] if isinstance(node, ast.If) else getattr(node, "items", ())
            case ast.Assign() | ast.AnnAssign() | ast.Import() | ast.ImportFrom():
                pass
            case _:
                yield node


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a definition, but not those within a class, which are used or not by themselves."""
    pending: list[ast.AST] = [node]
    while pending:
        each = pending.pop()
        yield each
        if isinstance(each, ast.ClassDef):
            pending += [*each.bases, *each.keywords, *each.decorator_list]
            is_enum = any("Enum" in ast.unparse(base) for base in each.bases)
            pending += each.body if is_enum else _outside(each.body)
        else:
            pending += ast.iter_child_nodes(each)


def test_everything_is_used_by_the_product_itself() -> None:
    templates = [path.read_text() for path in (ROOT / "report").glob("*.jinja")]

    assert Names(modules(), templates).unused() == []


@pytest.mark.parametrize(
    ("code", "unused"),
    [
        ("def f(): g()\ndef g(): f()", ["buildperm.m.f", "buildperm.m.g"]),
        ("def f(): g()\ndef g(): pass\nf()", []),
        ("class C:\n    def f(self): pass\nC()", ["buildperm.m.C.f"]),
        ("class C:\n    def f(self): pass\nC().f()", []),
        ("class C:\n    x: int\nC()", ["buildperm.m.C.x"]),
        ("class C:\n    x: int\nC()['x']", []),
        (
            "class C:\n    x: int\n    y: int\nmatch C():\n    case C(x, _):\n        pass",
            ["buildperm.m.C.y"],
        ),
        ("X = Y = 1\nprint(X)", ["buildperm.m.Y"]),
        ("from buildperm.n import X\nprint(X)\nf = 'from buildperm.n import Z'", ["buildperm.m.f"]),
        ("from buildperm import n\nprint(n.X)\nrun('from buildperm.n import Z')", []),
    ],
)
def test_what_is_unused_is_found(code: str, unused: list[str]) -> None:
    trees = {"buildperm.m": ast.parse(code), "buildperm.n": ast.parse("X = 1\nZ = X")}

    found = [name for name in Names(trees).unused() if name.startswith("buildperm.m.")]

    assert found == unused


def test_what_a_template_writes_is_used() -> None:
    code = "class C:\n    x: int\n    y: int\n    z: int\nC()"
    trees = {"buildperm.m": ast.parse(code)}

    names = Names(trees, ["{{ c.x }} c.z {% if c.y %}"])

    assert names.unused() == ["buildperm.m.C.z"]
