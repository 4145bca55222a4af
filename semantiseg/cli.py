"""The command line: `semantiseg VERB`. The verbs are in `commands/`."""

from __future__ import annotations

from typing import Any

import click

from semantiseg import __version__
from semantiseg.commands import artifact, collections, models, project, scoring
from semantiseg.errors import SemantiSegError, system_message
from semantiseg.extras import extras_named

USE = (
    models.segment,
    models.read_command,
    scoring.score_command,
    scoring.leaderboard,
    collections.check_command,
    project.reproduce_command,
    models.packed,
    models.baselines,
)
BENCHMARK = (
    collections.bench,
    collections.fetch_command,
    collections.plan_command,
    models.train_command,
    models.starts,
    models.ablation,
)
MAINTAIN = (
    artifact.verify_command,
    artifact.site,
    artifact.bundle_command,
    artifact.release_command,
    artifact.record_command,
    artifact.badge,
    artifact.manifest_command,
    project.workspace_command,
    project.profile,
    project.stage,
    project.notebooks,
    project.fresh,
    project.compare_table,
    project.publish_command,
    project.readme,
    project.info,
)
GROUPS = {
    "Use a model, score one": USE,
    "Make the benchmark and models": BENCHMARK,
    "Maintain the project (in its folder)": MAINTAIN,
}
"""Title in the help -> its verbs, those of daily use first."""


class CommandLine(click.Group):
    """Prints the project's own errors as one message, without a traceback."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by what they are for, those of daily use first."""
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(str(verb.name), verb.get_short_help_str(90)) for verb in verbs])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with extras_named():
                return super().invoke(ctx)
        except SemantiSegError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:  # click ends quietly where the reader of a pipe has gone
            raise
        except OSError as error:
            raise click.ClickException(system_message(error)) from None


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="semantiseg")
def main() -> None:
    """SemantiSeg: text-prompted medical segmentation, and what happens to it when the prompt gets harder.

    The first thing to try: semantiseg segment IMAGE "left kidney" --model MODEL --out mask.nii.gz
    """


for verb in (*USE, *BENCHMARK, *MAINTAIN):
    main.add_command(verb)


if __name__ == "__main__":
    main()
