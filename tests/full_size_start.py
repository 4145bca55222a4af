"""Streams with published weights as the stage `pretrain` leaves them, without its optimiser steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from semantiseg.models.registry import starting_streams


def write_start(out: Path, *, width: str, image_size: int, **start: Any) -> dict[str, object]:
    """Write the folder that `registry.start_from` reads; arguments as of `starting_streams`.

    Returns:
        What config.json says.
    """
    streams, origin = starting_streams(width=width, image_size=image_size, **start)
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in streams.state_dict().items()}, out / "model.safetensors")
    config = {"width": width, "image_size": image_size, "seed": start["seed"]} | origin
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return config
