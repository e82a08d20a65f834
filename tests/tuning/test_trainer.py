"""harmonic.tuning.trainer: the loss is TRL's, on the answers only, however the batch is cut; bulk dropout."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from harmonic.llm.tiny_model import TinyModel
from harmonic.progress import Progress
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.tuning.examples import IGNORED, stored_examples
from harmonic.tuning.settings import Tuning
from harmonic.tuning.trainer import AnswerTrainer, BulkDropout, Reporter, answer_trainer

EXAMPLES = [asked("say " + "x" * (7 * i), f'{{"a": "{i}", "b": "{"z" * i}"}}') for i in range(6)]
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def trainer(tmp_path) -> Iterator[AnswerTrainer]:
    llm = TinyModel(name="tiny", dtype="float32", device="cpu", target_modules=TARGETS)
    model, tokenizer = llm.load()
    settings = Tuning(batch_size=6, device_batch_size=6, dropout=0.0)
    with stored_examples(EXAMPLES, Chat(tokenizer), 2048, None, tmp_path / "examples.arrow") as examples:
        yield with_an_adapter(answer_trainer(llm, model, tokenizer, examples, settings, 0, tmp_path))


def with_an_adapter(made: AnswerTrainer) -> AnswerTrainer:
    generator = torch.Generator().manual_seed(1)
    for name, weight in made.model.named_parameters():
        if "lora_B" in name:  # zero at the start, where the adapter would not matter
            weight.data.normal_(std=0.1, generator=generator)
    return made


def batch(trainer: AnswerTrainer, chosen: range | list[int]) -> dict[str, torch.Tensor]:
    return trainer.data_collator([trainer.train_dataset[i] for i in chosen])


def gradients(trainer: AnswerTrainer) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad()
    return found


@pytest.mark.parametrize("items", [None, 517])
def test_loss_and_gradient_are_those_of_trl(trainer, items):
    from trl import SFTTrainer

    count = None if items is None else torch.tensor(items)
    inputs = batch(trainer, range(6))
    ours = trainer.compute_loss(trainer.model, dict(inputs), num_items_in_batch=count)
    ours.backward()
    our_gradients = gradients(trainer)
    theirs = SFTTrainer.compute_loss(trainer, trainer.model, dict(inputs), num_items_in_batch=count)
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    assert len(our_gradients) == 2 * 7 * 2  # A and B of seven layers, twice
    for name, gradient in gradients(trainer).items():
        torch.testing.assert_close(our_gradients[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_loss_is_the_mean_over_answer_tokens_of_each_row_alone(trainer):
    total, count = 0.0, 0
    with torch.no_grad():
        for row in trainer.train_dataset:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])
            logits = trainer.model(input_ids=ids).logits[0, :-1]
            total += float(functional.cross_entropy(logits, labels[1:], ignore_index=IGNORED, reduction="sum"))
            count += int((labels != IGNORED).sum())
        found = trainer.compute_loss(trainer.model, batch(trainer, range(6)))
    assert float(found) == pytest.approx(total / count, abs=1e-5)


def test_the_loss_is_on_the_answer_and_its_end_only(trainer):
    chat = Chat(trainer.processing_class)
    for example, row in zip(EXAMPLES, trainer.train_dataset, strict=True):
        learnt = [label for label in row["labels"] if label != IGNORED]
        assert learnt == chat.completions([example.completion])[0]
        assert row["input_ids"][-len(learnt) :] == learnt
        assert row["input_ids"][: -len(learnt)] == chat.prompts([example.prompt])[0]


def test_accumulating_over_parts_of_different_lengths_gives_the_gradient_of_the_whole(trainer):
    inputs = batch(trainer, range(6))
    count = (inputs["labels"] != IGNORED).sum()
    whole = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=count)
    whole.backward()
    expected = gradients(trainer)
    parts = 0.0
    for part in ([0], [5, 1], [2, 3, 4]):
        loss = trainer.compute_loss(trainer.model, batch(trainer, part), num_items_in_batch=count)
        loss.backward()
        parts += loss.item()
    assert parts == pytest.approx(whole.item(), abs=1e-5)
    for name, gradient in gradients(trainer).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4, msg=name)


def test_tokens_are_counted_without_padding(trainer):
    trainer.compute_loss(trainer.model, batch(trainer, [0, 5]))
    assert trainer.tokens_seen == sum(len(trainer.train_dataset[i]["input_ids"]) for i in (0, 5))
    assert trainer.tokens_seen_everywhere() == trainer.tokens_seen


def test_rows_are_counted_over_uneven_epochs(trainer):
    reporter = Reporter(Progress("fit", 0, "rows"), trainer, 4, None)
    assert [reporter.rows_after(step) for step in range(5)] == [0, 4, 6, 10, 12]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 7), (0, 4)])
def test_dropout_keeps_shape_and_type_and_scales_what_it_keeps(shape, dtype):
    torch.manual_seed(0)
    found = BulkDropout(0.5)(torch.ones(shape, dtype=dtype))
    assert found.shape == shape
    assert found.dtype == dtype
    assert set(found.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(probability):
    torch.manual_seed(0)
    n = 400_000
    found = BulkDropout(probability)(torch.ones(n))
    deviation = math.sqrt(probability * (1 - probability) / n)
    assert abs(float((found == 0).double().mean()) - probability) < 5 * deviation
    assert float(found.double().mean()) == pytest.approx(1, abs=5 * deviation / (1 - probability))


def test_dropout_draws_elements_apart():
    torch.manual_seed(0)
    zero = (BulkDropout(0.5)(torch.ones(400_000)) == 0).double().view(-1, 4)
    deviation = torch.corrcoef(zero.T) - torch.eye(4, dtype=torch.float64)
    assert float(deviation.abs().max()) < 5 / math.sqrt(len(zero))


def test_dropout_follows_torchs_seed():
    values, dropout = torch.ones(1000), BulkDropout(0.3)
    torch.manual_seed(5)
    first, second = dropout(values), dropout(values)
    torch.manual_seed(5)
    assert torch.equal(dropout(values), first)
    assert not torch.equal(first, second)


def test_dropout_is_off_in_eval_and_passes_the_gradient_of_what_it_keeps():
    values = torch.ones(1000, requires_grad=True)
    dropout = BulkDropout(0.25)
    assert dropout.eval()(values) is values
    kept = dropout.train()(values)
    kept.sum().backward()
    assert torch.equal(values.grad, kept.detach())
