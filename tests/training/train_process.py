"""A training in a process of its own, as a scheduler would start it: `train_process.py ARGUMENTS.json`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import small_training

from semantiseg.training.hardware import Hardware
from semantiseg.training.progress import Checkpoint, Progress


def kill_after(step: int) -> None:
    """End this process by SIGKILL when it has taken a step, before anything of that step is saved."""
    advance = Progress.advance

    def fatal(self, loaded) -> None:
        advance(self, loaded)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Progress.advance = fatal


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    project = Path(given["project"])
    if given.get("kill_after"):
        kill_after(given["kill_after"])
    small_training.run(
        project,
        Path(given["out"]),
        Hardware(**given.get("hardware", {})),
        parameters=given["parameters"],
        model=given["model"],
        streams=given.get("streams", "pretrained"),
        checkpoint=Checkpoint(Path(given["checkpoint"]), every=given["every"]) if "checkpoint" in given else None,
    )
