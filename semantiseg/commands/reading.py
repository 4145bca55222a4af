"""The verb that reads sentences, and the options of those that compose a model: who reads, and how a language model
is asked."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from semantiseg.errors import ParameterError, PromptError

_WITHOUT_MODEL = ("strict", "lenient", "learned")
_WITH_MODEL = ("server", "local")
_OPTIONS = (
    click.option(
        "--reader", type=click.Choice([*_WITHOUT_MODEL, *_WITH_MODEL]), default="strict", show_default=True,
        help="Who reads the sentences; server and local ask a language model.",
    ),
    click.option(
        "--reader-weights", type=click.Path(path_type=Path), default=Path("data/reader"), show_default=True,
        help="Reader learned: folder of its weights.",
    ),
    click.option("--base-url", default="", help="Reader server: its address, up to /v1."),
    click.option("--reader-model", default="", help="Reader server: the language model's name there."),
    click.option(
        "--key-variable", default="SEMANTISEG_LLM_KEY", show_default=True, help="Reader server: variable with its key."
    ),
    click.option("--structured", type=click.Choice(["json_schema", "json_object", "none"]), default="json_schema"),
    click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Requests on their way."),
    click.option("--budget-tokens", type=click.IntRange(min=0), help="Reader server: most tokens, earlier runs too."),
    click.option(
        "--answers", type=click.Path(path_type=Path), default=Path("answers"), show_default=True,
        help="Folder of a language model's kept answers.",
    ),
)  # fmt: skip


@click.command()
@click.argument("sentences", nargs=-1, metavar="[SENTENCE]...")
@click.option("--file", "path", type=click.Path(path_type=Path), help="Text file with one sentence a line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a sentence.")
@click.option("--modality", type=click.Choice(["CT", "MR"]), default="CT", show_default=True, help='What "dark" means.')
def read(sentences: tuple[str, ...], path: Path | None, as_json: bool, modality: Any) -> None:
    """Read each SENTENCE: its program, the confidence in it, and the words that were not understood."""
    from semantiseg.bench.structured_reader import understand

    given = [*sentences, *(_lines(path) if path is not None else ())]
    if not given:
        raise PromptError("read: expected sentences or --file, got none. Write what to read, such as 'left kidney'.")
    for sentence in given:
        found = understand(sentence, modality=modality)
        told = {
            "text": sentence, "program": None if found.program is None else str(found.program),
            "clauses": [asdict(clause) for clause in found.clauses], "confidence": found.confidence,
            "not_understood": list(found.not_understood), "corrections": dict(found.corrections),
            "reason": found.reason,
        }  # fmt: skip
        click.echo(json.dumps(told, ensure_ascii=False) if as_json else _said(told))


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: expected a text file in UTF-8, got {error}. Give one sentence a line.") from None


def _said(told: dict[str, Any]) -> str:
    clauses = "".join(f", {clause['attribute']} {clause['value']}" for clause in told["clauses"])
    lines = [f"{told['text']}\n  {told['program'] or 'not understood'}{clauses}  [{told['confidence']:.2f}]"]
    if told["corrections"]:
        lines.append("  read as: " + ", ".join(f"{word} -> {meant}" for word, meant in told["corrections"].items()))
    if told["not_understood"]:
        lines.append("  words not understood: " + ", ".join(told["not_understood"]))
    return "\n".join(lines + ([f"  {told['reason']}"] if told["reason"] else []))


def reader_options(switch: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options; it is called with `reader` and `asking` as `open_reader` takes them.

    Args:
        switch: name of the command's option that composes; without it `reader` is None, and to name a language model
            is a mistake.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(*arguments: Any, **options: Any) -> None:
            reader, composed = options.pop("reader"), options.pop(switch)
            asking = {name: options.pop(name) for name in ("base_url", "key_variable", "structured", "at_once")}
            asking |= {name: options.pop(name) for name in ("budget_tokens", "answers")}
            asking |= {"model": options.pop("reader_model"), "weights": options.pop("reader_weights")}
            if reader in _WITH_MODEL and not composed:
                raise ParameterError(f"--reader {reader}: expected --{switch}, got none. Add it.")
            command(*arguments, reader=reader if composed else None, asking=asking, **options)

        for option in reversed(_OPTIONS):
            called = option(called)
        return called

    return add
