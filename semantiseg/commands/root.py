"""Where the verbs work, the folder in which they are called; and how their help is laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from semantiseg.errors import ParameterError

ROOT = Path(".")


def in_project(*names: str) -> None:
    """Stop unless the folder in which the verb is called holds these files of the project.

    Raises:
        ParameterError: one is absent.
    """
    absent = [name for name in names if not (ROOT / name).is_file()]
    if absent:
        raise ParameterError(
            f"expected {absent[0]} in {ROOT.resolve()}, got none. Run this in the project's folder: a clone of the "
            "repository, or a workspace."
        )


class LongCommand(click.Command):
    """A command of many options: `--help` shows those of daily use, `--help-all` the rare ones too.

    Args:
        daily: names of the parameters of daily use.
    """

    def __init__(self, *arguments: Any, daily: frozenset[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._daily = daily
        shows = click.Option(
            ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=self._all,
            help="Show the rare options too, and exit.",
        )  # fmt: skip
        self.params.append(shows)

    def _all(self, context: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked and not context.resilient_parsing:
            context.meta[__name__] = True
            click.echo(self.get_help(context))
            context.exit()

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Those of daily use, and how to see the others."""
        every, first = context.meta.get(__name__), {*self._daily, "help_all", "help"}
        shown = (item for item in self.get_params(context) if every or item.name in first)
        records = [record for record in (item.get_help_record(context) for item in shown) if record is not None]
        with formatter.section("Options"):
            formatter.write_dl(records)
