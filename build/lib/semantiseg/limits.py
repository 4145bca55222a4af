"""What a file of others may ask for at most: judged by what it says of itself, before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

from semantiseg.errors import DataError, ParameterError


@dataclass(frozen=True)
class Limit:
    """A bound that no honest file comes near, and that an environment variable raises for the one that does: unlike
    an option, a variable also reaches the notebooks and the workers.

    Attributes:
        variable: environment variable with another bound.
        default: the bound where it is not set.
        unit: what is counted.
    """

    variable: str
    default: int
    unit: str

    @property
    def most(self) -> int:
        """The bound in force.

        Raises:
            ParameterError: the variable holds no whole number above 0.
        """
        text = os.environ.get(self.variable, "").strip()
        if not text:
            return self.default
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text)):
            raise ParameterError(
                f"{self.variable}: expected a whole number of {self.unit} above 0, got {text[:40]!r}. Correct or unset "
                "it."
            )
        return int(text)

    def require(self, name: str, sizes: Iterable[int]) -> None:
        """Refuse what `name` would take: the product of `sizes`, counted without overflow.

        Raises:
            DataError: more than the bound; says how to raise it.
        """
        counts = [int(size) for size in sizes]
        if math.prod(counts) > self.most:
            raise DataError(
                f"{name}: expected at most {self.most} {self.unit}, got {' x '.join(map(str, counts))}. If that is "
                f"right, set the environment variable {self.variable} to a larger number."
            )


PIXELS = Limit("SEMANTISEG_MOST_PIXELS", 1 << 24, "pixels")
"""Of one picture or one slice's mask: 4096 x 4096; a decoder's copies of it then stay below half a gigabyte."""

VOXELS = Limit("SEMANTISEG_MOST_VOXELS", 1 << 29, "voxels")
"""Of one channel, as stored or on the prepared grid: a CT of 512 x 512 x 2048."""

MEMBERS = Limit("SEMANTISEG_MOST_MEMBERS", 200_000, "files")
"""Of one archive: each takes about a kilobyte before anything is unpacked. BraTS 2024 has 10,000."""

UNPACKED_TIMES = Limit("SEMANTISEG_MOST_UNPACKED_TIMES", 20, "times its own size")
"""What an archive may unpack to: scans are compressed already, so honest ones come to about 1."""
