"""A second opinion: a language model says whether a text means the target. It can only reject what the verifier
accepted, never the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from semantiseg.bench.backends.asking import Asker
from semantiseg.bench.backends.request import Request

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"same": {"type": "boolean"}, "why": {"type": "string"}},
    "required": ["same", "why"],
    "additionalProperties": False,
}
RULES = (
    "You check requests to a medical image segmentation model. Does the sentence ask for exactly the target, with the "
    "same side, organ, exclusion, selection and attributes? Left and right are the patient's. Answer with JSON only: "
    '{"same": true or false, "why": "one short sentence"}.'
)


class _Opinion(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    same: bool
    why: str


@dataclass(frozen=True)
class OpinionRequest:
    """A text to be compared with the meaning that it should have; fields as of `Request`."""

    program: str
    clauses: str
    modality: str
    text: str
    attempt: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return SCHEMA

    def facts(self) -> dict[str, Any]:
        """As `Request.facts`."""
        return asdict(self) | {"rules": RULES}

    def messages(self) -> list[dict[str, str]]:
        """As `Request.messages`."""
        meaning = Request(self.program, self.clauses, self.modality, "seen", 0).meaning()
        asked = "\n".join([*meaning, f"Sentence: {self.text}"])
        return [{"role": "system", "content": RULES}, {"role": "user", "content": asked}]


def disputed(rows: Sequence[dict[str, Any]], asker: Asker) -> dict[str, str]:
    """Prompts that the model takes for something else, by id, with the reason "opinion: ..."; an answer that is no JSON
    of the schema disputes nothing.

    Raises:
        BackendError: as `Asker.ask_all`.
    """
    requests = [OpinionRequest(row["program"], row["clauses"], row["modality"], row["text"]) for row in rows]
    found: dict[str, str] = {}
    for row, reply in zip(rows, asker.ask_all(requests), strict=True):
        try:
            opinion = _Opinion.model_validate_json(reply.text.strip())
        except ValidationError:
            continue
        if not opinion.same:
            found[row["prompt_id"]] = f"opinion: {' '.join(opinion.why.split())[:200]}"
    return found
