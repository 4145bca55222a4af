"""Options of the commands that compose a model: who reads the sentences, and how a language model is asked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from semantiseg.errors import ParameterError

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
