"""What is trained: the model and the head that reads programs from sentences, with the loss of a batch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.models.prompts import PromptBatch
from semantiseg.models.segmenter import Segmenter
from semantiseg.params import Train
from semantiseg.training.batch import Batch
from semantiseg.training.loss import objective
from semantiseg.training.program_words import ProgramWords
from semantiseg.training.questions import Questions


class Learner(nn.Module):
    """One module with one `forward`, as Fabric and DistributedDataParallel want it."""

    def __init__(self, network: Segmenter, words: ProgramWords, *, parameters: Train) -> None:
        super().__init__()
        self.network, self.words = network, words
        self._train = parameters
        self._weights = {
            "dice_weight": parameters.dice_weight,
            "dhn_weight": parameters.dhn_weight,
            "dhn_gamma": parameters.dhn_gamma,
            "dhn_negatives": parameters.dhn_negatives,
        }

    def prepare_training(self) -> None:
        """Training mode for what is trained; the rest frozen, in eval mode."""
        self.train()
        self.network.streams.prepare_training()

    def forward(
        self,
        images: Tensor,
        owner: Tensor,
        prompts: dict[str, Tensor],
        targets: Tensor,
        parents: Tensor,
        programs: list[str],
    ) -> Tensor:
        """The mean loss of P prompts, a scalar; arguments as in `Batch`, `programs` are the prompts' own."""
        network = self.network
        decoded = network.decode(network.encode(images), owner, PromptBatch(**prompts))
        regions = F.adaptive_avg_pool2d(parents[:, None], decoded.located.shape[-2:])[:, 0]
        # Sums over pixels need all digits, whatever the network computes in.
        loss = objective(decoded.logits.float(), targets, **self._weights).mean()
        located = objective(decoded.located.float(), regions, **self._weights).mean()
        loss = loss + self._train.location_weight * located
        if network.reading != "none":
            loss = loss + self._train.reading_weight * self.words.loss(decoded.sentence, programs).mean()
        return loss


def arguments(batch: Batch, questions: Questions) -> tuple[object, ...]:
    """A batch as `Learner.forward` takes it: Fabric does not accept frozen dataclasses."""
    programs = [questions.program[row] for row in batch.rows]
    return batch.images, batch.owner, dict(vars(batch.prompts)), batch.targets, batch.parents, programs
