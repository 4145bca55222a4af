"""When two programs ask for the same by set algebra alone."""

from __future__ import annotations

from semantiseg.language.program import Program, call


def normal(program: Program) -> Program:
    """One tree for programs that set algebra makes equal: unions sorted, repeated exclusions joined."""
    if program.is_atom:
        return program
    parts = [normal(part) if isinstance(part, Program) else part for part in program.arguments]
    if program.operation == "union":
        parts.sort(key=str)
    if program.operation == "minus" and parts[0].operation == "minus":
        first, removed = parts[0].children
        return normal(call("minus", first, call("union", removed, parts[1])))
    return call(program.operation, *parts)
