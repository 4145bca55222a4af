"""Programs: what a prompt means, as a tree over the label map that prints and parses on one line.

    minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))

The syntax is that of nested calls; `language/evaluate.py` gives each operation its value.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from semantiseg.errors import ProgramError
from semantiseg.language.ontology import STRUCTURES, Structure, structure

DIRECTIONS = ("anterior", "posterior", "left", "right")

SIGNATURES: dict[str, tuple[str, ...]] = {
    "organ": ("key",),
    "lesion": ("key",),
    "part": ("key",),
    "side": ("program", "side"),
    "half": ("program", "direction"),
    "within": ("program", "program"),
    "containing": ("program", "program"),
    "without": ("program", "program"),
    "minus": ("program", "program"),
    "union": ("program", "program"),
    "largest": ("program",),
    "smallest": ("program",),
    "facing": ("program", "direction", "program"),
}
"""Operation -> what each argument must be."""

_WORDS = {"side": ("left", "right"), "direction": DIRECTIONS}


@dataclass(frozen=True)
class Program:
    """One node: an operation and its arguments (programs, or words for keys, sides and directions).

    Raises:
        ProgramError: unknown operation, wrong number or type of arguments, unknown structure, atom of the wrong kind.
    """

    operation: str
    arguments: tuple[Program | str, ...]

    def __post_init__(self) -> None:
        if self.operation not in SIGNATURES:
            raise ProgramError(f"expected one of {sorted(SIGNATURES)}, got operation {self.operation!r}.")
        expected = SIGNATURES[self.operation]
        if len(self.arguments) != len(expected):
            raise ProgramError(f"{self.operation}: expected {len(expected)} arguments, got {len(self.arguments)}.")
        for argument, kind in zip(self.arguments, expected, strict=True):
            self._check(argument, kind)

    def _check(self, argument: Program | str, kind: str) -> None:
        if kind == "program":
            if not isinstance(argument, Program):
                raise ProgramError(f"{self.operation}: expected a program, got the word {argument!r}.")
        elif isinstance(argument, Program):
            raise ProgramError(f"{self.operation}: expected a {kind}, got the program {argument}.")
        elif kind == "key":
            if argument not in STRUCTURES or STRUCTURES[argument].kind != self.operation:
                raise ProgramError(f"expected {self.operation}(...) of an ontology {self.operation}, got {argument!r}.")
        elif argument not in _WORDS[kind]:
            raise ProgramError(f"{self.operation}: expected one of {_WORDS[kind]}, got {argument!r}.")

    def __str__(self) -> str:
        return f"{self.operation}({', '.join(map(str, self.arguments))})"

    @property
    def children(self) -> tuple[Program, ...]:
        """The arguments that are programs."""
        return tuple(argument for argument in self.arguments if isinstance(argument, Program))

    def walk(self) -> Iterator[Program]:
        """This node and all below it, with repetitions: the parts of a node, left to right, before the node itself."""
        for child in self.children:
            yield from child.walk()
        yield self

    @property
    def words(self) -> tuple[str, ...]:
        """The sides and directions that this node itself names; the key of an atom is none."""
        return () if self.is_atom else tuple(word for word in self.arguments if isinstance(word, str))

    @property
    def is_atom(self) -> bool:
        """True for organ(...), lesion(...) and part(...)."""
        return SIGNATURES[self.operation] == ("key",)

    @property
    def key(self) -> str:
        """The structure that an atom names.

        Raises:
            ProgramError: the node is no atom.
        """
        if not self.is_atom:
            raise ProgramError(f"expected an atom, got {self}.")
        return str(self.arguments[0])

    @property
    def structure(self) -> Structure:
        """What the sentence is about: the structure of the leftmost atom."""
        return STRUCTURES[subject(self).key]


def atom(key: str) -> Program:
    """The program that names one structure."""
    return Program(structure(key).kind, (key,))


def call(operation: str, *arguments: Program | str) -> Program:
    """Build a node: `call("side", atom("kidney"), "right")`."""
    return Program(operation, arguments)


@lru_cache(maxsize=10_000)
def parse(text: str) -> Program:
    """Read a program from its printed form; `parse(str(p)) == p`.

    Raises:
        ProgramError: the text is not a program; the message quotes it.
    """
    try:
        return _from_syntax(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ProgramError, RecursionError, ValueError) as error:
        raise ProgramError(f"expected a program such as 'side(organ(kidney), right)', got {text!r}: {error}") from None


def _from_syntax(node: ast.expr) -> Program:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
        raise ProgramError("expected operation(argument, ...)")
    arguments = [argument.id if isinstance(argument, ast.Name) else _from_syntax(argument) for argument in node.args]
    return Program(node.func.id, tuple(arguments))


def atoms(program: Program) -> Iterator[Program]:
    """The atoms of a program, left to right, with repetitions."""
    return (node for node in program.walk() if node.is_atom)


def subject(program: Program) -> Program:
    """The atom that the sentence is about: the leftmost one (the mass in "mass in the right kidney, excluding the
    cyst")."""
    return next(atoms(program))


def parent(program: Program) -> Program:
    """What a reader who ignores every qualifier would mark.

    For an atom: the structure that contains it (necrotic core -> brain tumour), or itself. For a lesion placed in or
        at an organ (`within`): that organ. For a union: the union. For every other composition: the subject without
        its qualifiers.
    """
    if program.is_atom:
        container = structure(program.key).parent
        return atom(container) if container else program
    if program.operation == "within":
        return subject(program.children[1])
    if program.operation == "union":
        return program
    first = program.children[0]
    return first if first.is_atom else parent(first)
