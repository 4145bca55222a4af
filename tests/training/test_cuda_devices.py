"""That training and answering on a GPU would mix no devices and keep its kinds of numbers, shown without a GPU.

PyTorch's fake tensors carry shape, kind and device but no values; operations on tensors of two devices fail as they
would on the hardware. What values come out, and how fast, only a GPU can say.
"""

from __future__ import annotations

import pytest
import torch
from tiny_project import ROOT
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from semantiseg import params
from semantiseg.models.prompts import PromptBatch
from semantiseg.models.registry import build
from semantiseg.models.segmenter import Segmenter
from semantiseg.recipes import RECIPES
from semantiseg.training.step import Learner, ProgramWords

WIDTHS = {"tiny": (384, 384), "paper_tiny": (48, 32)}
SIZE, PROMPTS, WORDS = 64, 3, 5
PROGRAMS = ["organ(kidney)", "lesion(kidney_tumour)", "side(organ(kidney), left)"]
each = pytest.mark.parametrize(("model", "width"), [(model, width) for width in WIDTHS for model in RECIPES])


def learner_of(model: str, width: str) -> Learner:
    text_width, sentence_width = WIDTHS[width]
    network = build(model, width=width, image_size=SIZE, text_width=text_width, sentence_width=sentence_width)
    words = ProgramWords(PROGRAMS, width=network.projection.norm.normalized_shape[0])
    learner = Learner(network, words, parameters=params.load(ROOT / "params.yaml").train)
    learner.prepare_training()
    return learner


def prompts_of(network: Segmenter, width: str) -> PromptBatch:
    text_width, sentence_width = WIDTHS[width]
    return PromptBatch(
        tokens=torch.rand(PROMPTS, WORDS, 2 * text_width),
        mask=torch.ones(PROMPTS, WORDS, dtype=torch.bool),
        pooled=torch.rand(PROMPTS, text_width if network.reading == "bag_of_words" else sentence_width),
        boxes=torch.zeros(PROMPTS, 4),
        ids=torch.zeros(PROMPTS, WORDS, dtype=torch.int64),
    )


def on_gpu(module: nn.Module, mode: FakeTensorMode) -> dict[str, Tensor]:
    """The module's parameters and buffers as they would lie on a GPU."""
    parameters = dict(module.named_parameters())
    trained = {name for name, value in parameters.items() if value.requires_grad}
    state = {name: value.detach() for name, value in {**parameters, **dict(module.named_buffers())}.items()}
    with mode:
        moved = {name: mode.from_tensor(value).to("cuda") for name, value in state.items()}
        return moved | {name: nn.Parameter(moved[name], requires_grad=name in trained) for name in parameters}


@pytest.fixture
def bfloat16(monkeypatch) -> torch.autocast:
    """Autocast as on a GPU; where there is none, PyTorch would hand out one that does nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        return torch.autocast("cuda", dtype=torch.bfloat16)


class _Answering(nn.Module):
    """`Segmenter.answer` as a module's forward, which `functional_call` wants."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, prompts: PromptBatch) -> tuple[Tensor, Tensor | None]:
        return self.network.answer(image, prompts)


def step(learner: Learner, state: dict[str, Tensor], prompts: PromptBatch) -> Tensor:
    images, owner = torch.rand(2, 1, SIZE, SIZE, device="cuda"), torch.tensor([0, 0, 1], device="cuda")
    masks = torch.ones(PROMPTS, SIZE, SIZE, device="cuda")
    return functional_call(learner, state, (images, owner, dict(vars(prompts)), masks, masks, PROGRAMS))


@each
def test_a_loss_in_bfloat16_is_computed_on_the_gpu_and_summed_in_single_precision(model, width, bfloat16):
    learner, mode = learner_of(model, width), FakeTensorMode()
    state = on_gpu(learner, mode)
    halves = []
    learner.network.decoder.pixels.register_forward_hook(lambda module, given, made: halves.append(made.dtype))
    with mode, bfloat16:
        loss = step(learner, state, prompts_of(learner.network, width).to("cuda"))
    assert halves == [torch.bfloat16] and (loss.device.type, loss.dtype) == ("cuda", torch.float32)


@each
def test_an_answer_is_computed_on_the_gpu_and_comes_back(model, width):
    network, mode = learner_of(model, width).network.eval(), FakeTensorMode()
    state = {f"network.{name}": value for name, value in on_gpu(network, mode).items()}
    places = []
    network.decoder.pixels.register_forward_hook(lambda module, given, made: places.append(made.device.type))
    with mode, torch.no_grad():
        asked = torch.rand(1, 1, SIZE, SIZE), prompts_of(network, width)
        logits, alpha = functional_call(_Answering(network), state, asked)
    assert places == ["cuda"] and logits.device.type == "cpu" and logits.shape == (PROMPTS, SIZE, SIZE)
    assert alpha is None or alpha.device.type == "cpu"


def test_a_tensor_left_on_the_processor_is_noticed():
    learner, mode = learner_of("token", "tiny"), FakeTensorMode()
    state = on_gpu(learner, mode)
    with mode, pytest.raises(RuntimeError, match="same device"):
        step(learner, state, prompts_of(learner.network, "tiny"))
