"""harmonic.tuning.lora: a run that learns, repeats, resumes and refuses what cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from harmonic.errors import ConfigError, DataError
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import asked
from harmonic.tuning.lora import load_tuned, tune
from harmonic.tuning.settings import Tuning

EXAMPLES = [asked(f"number {i}: " + "x" * (5 * i), f'{{"a": "{i}"}}') for i in range(10)]
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROOT = Path(__file__).resolve().parents[2]


def tiny(**given) -> TinyModel:
    return TinyModel(name="tiny", **{"dtype": "float32", "device": "cpu", "target_modules": TARGETS} | given)


def run(folder: Path, examples=EXAMPLES, llm=None, seed=0, history=None, **given) -> dict[str, float]:
    settings = Tuning(**{"batch_size": 4, "learning_rate": 1e-2, "epochs": 2, "checkpoint_every": None} | given)
    return tune(llm or tiny(), examples, settings, seed=seed, directory=folder, history=history)


def digest(folder: Path) -> str:
    return sha256((folder / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()


def losses(folder: Path) -> list[float]:
    return [point["train/loss"] for point in json.loads((folder / "history.json").read_text())]


class Plain(TinyModel):
    """A model without a chat template."""

    def tokenizer(self):
        tokenizer = super().tokenizer()
        tokenizer.chat_template = None
        return tokenizer


def test_a_toy_set_is_learnt_by_heart_and_reproduced(tmp_path):
    llm = Plain(**vars(tiny(hidden_size=64, embedding_factor=10)))
    examples = [asked("one: a", "bcdefg"), asked("two: h", "ijk")]
    run(tmp_path, examples, llm, epochs=60, batch_size=2, dropout=0.0, scheduler="constant")
    found = losses(tmp_path)
    assert found[0] > 5
    assert found[-1] < 0.1
    model, tokenizer = load_tuned(llm, tmp_path / "adapter")
    chat = Chat(tokenizer)
    for example in examples:
        ids = torch.tensor(chat.prompts([example.prompt]))
        with torch.inference_mode():
            written = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False, eos_token_id=chat.end
            )
        assert chat.text(written[0, ids.shape[1] :].tolist()) == example.completion


def test_facts_history_and_files(tmp_path):
    seen = []
    facts = run(tmp_path, history=lambda values, step: seen.append((step, values)), checkpoint_every=2)
    assert facts["examples"] == 10
    assert facts["tokens_per_s"] == pytest.approx(facts["tokens"] / facts["seconds"])
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]  # 3 steps an epoch: 4, 4 and 2 examples
    assert [values["train/loss"] for _, values in seen] == losses(tmp_path)
    assert facts["loss"] == pytest.approx(sum(losses(tmp_path)[-5:]) / 5)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "history.json"]


def test_nothing_is_written_beside_the_programs_own_lines(tmp_path, capfd):
    run(tmp_path)
    load_tuned(tiny(), tmp_path / "adapter")
    assert capfd.readouterr() == ("", "")


def test_the_seed_fixes_the_adapter_bit_by_bit(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, seed=seed)
        torch.rand(3)  # global state has no part in it
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_the_device_batch_changes_nothing_but_rounding(tmp_path):
    for size in (1, 2, 4):
        run(tmp_path / str(size), device_batch_size=size, dropout=0.0, learning_rate=1e-3)
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), abs=1e-4)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "4"), abs=1e-4)


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path):
    for on in (False, True):
        run(tmp_path / str(on), gradient_checkpointing=on, dropout=0.0, learning_rate=1e-3)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-5)


def test_a_run_interrupted_after_a_checkpoint_goes_on_to_the_same_adapter(tmp_path):
    """Interrupted by an exception from the history callback; dropout is on, so random states must come back too."""

    def stop(values, step):
        if step == 5:
            raise KeyboardInterrupt

    run(tmp_path / "whole", checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", checkpoint_every=2, history=stop)
    folder = tmp_path / "broken" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["checkpoint-4"]
    (folder / "checkpoint-6").mkdir()  # one that was never written to its end
    steps = []
    run(tmp_path / "broken", checkpoint_every=2, history=lambda values, step: steps.append(step))
    assert steps == [5, 6]
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert not folder.exists()


SCRIPT = """
import sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_lora import run
def history(values, step):
    print(step, flush=True)
    if step == 5 and "stop" in sys.argv:
        time.sleep(600)
if __name__ == "__main__":
    print(run(Path(sys.argv[1]), checkpoint_every=2, history=history))
"""


def script(folder: Path) -> Path:
    file = folder / "script.py"
    file.write_text(SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests" / "tuning")))
    return file


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_adapter(tmp_path):
    """A real process, ended by SIGKILL in its fifth step."""
    command = [sys.executable, str(script(tmp_path)), str(tmp_path / "broken")]
    with subprocess.Popen([*command, "stop"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "5":
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "adapter").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[:2] == ["5", "6"]
    command[-1] = str(tmp_path / "whole")
    subprocess.run(command, capture_output=True, check=True)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


DISTRIBUTED = """
import os, sys
from pathlib import Path
from hashlib import sha256
sys.path[:0] = [{root!r}, {tests!r}]
from test_lora import digest, run
import harmonic.tuning.trainer
original = harmonic.tuning.trainer.AnswerTrainer.train
def train(self, **given):
    done = original(self, **given)
    state = {{n: p for n, p in self.accelerator.unwrap_model(self.model).named_parameters() if "lora" in n}}
    text = b"".join(state[name].detach().numpy().tobytes() for name in sorted(state))
    Path(sys.argv[1] + ".rank" + os.environ["RANK"]).write_text(
        sha256(text).hexdigest() + " " + type(self.model_wrapped).__name__ + " "
        + str(self.args.gradient_accumulation_steps))
    return done
harmonic.tuning.trainer.AnswerTrainer.train = train
if __name__ == "__main__":
    steps = []
    facts = run(Path(sys.argv[1]), dropout=0.0, device_batch_size=1, history=lambda v, step: steps.append(step))
    digest(Path(sys.argv[1]))  # there is an adapter for every process as soon as tune returns
    print("finished", os.environ["RANK"], len(steps), int(facts["tokens"]), flush=True)
"""


@pytest.mark.slow
def test_two_processes_tune_one_adapter_in_step(tmp_path):
    """As under `accelerate launch` on a machine with two GPUs, here on the CPU over gloo."""
    file, folder = tmp_path / "script.py", tmp_path / "two"
    file.write_text(DISTRIBUTED.format(root=str(ROOT), tests=str(ROOT / "tests" / "tuning")))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, str(file), str(folder)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone = run(tmp_path / "one", dropout=0.0, device_batch_size=2)
    lines = sorted(line for line in done.stdout.splitlines() if line.startswith("finished"))
    # Each epoch's last two examples are one for each process: both process 10 examples twice in all.
    assert lines == [f"finished 0 6 {int(alone['tokens'])}", f"finished 1 0 {int(alone['tokens'])}"]
    ranks = [Path(f"{folder}.rank{rank}").read_text() for rank in (0, 1)]
    assert ranks[0] == ranks[1]
    assert ranks[0].split()[1:] == ["DistributedDataParallel", "2"]  # batch 4 = 2 processes, 1 at once, 2 steps
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert losses(folder)[-1] < losses(folder)[0]


def test_max_examples_takes_a_seeded_subset(tmp_path):
    from harmonic.tuning.lora import subset

    assert subset(EXAMPLES, None, 0) == subset(EXAMPLES, 10, 0) == EXAMPLES
    first = subset(EXAMPLES, 4, 0)
    assert len(set(first)) == 4
    assert first == subset(EXAMPLES, 4, 0) == sorted(first, key=EXAMPLES.index)
    assert first != subset(EXAMPLES, 4, 1)
    assert run(tmp_path, max_examples=4, epochs=1)["examples"] == 4


def test_an_example_that_is_too_long_stops_it_before_any_tuning(tmp_path):
    examples = [*EXAMPLES, asked("y" * 300, "{}"), EXAMPLES[0]]
    with pytest.raises(ConfigError, match=r"llm.context=200: .*number 10 takes 3\d\d tokens .*\(1 of 12"):
        run(tmp_path, examples, tiny(context=200))
    assert not list(tmp_path.iterdir())


def test_nothing_to_tune_on_is_said(tmp_path):
    with pytest.raises(DataError, match="no example"):
        run(tmp_path, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("learning_rate", -1.0), ("rank", 0), ("batch_size", 0), ("device_batch_size", 0),
        ("dropout", 1.0), ("warmup_ratio", 1.0), ("scheduler", "cosin"), ("checkpoint_every", 0), ("max_examples", 0),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_named(tmp_path, name, value):
    with pytest.raises(ConfigError, match=f"tuning.{name}={value}"):
        run(tmp_path, **{name: value})


def test_the_device_batch_divides_what_falls_to_a_process(monkeypatch):
    assert [Tuning(batch_size=16).device_batch("cpu", longest) for longest in (2000, 600, 250, 10)] == [1, 4, 8, 16]
    assert Tuning(batch_size=16).device_batch("cuda", 2000) == 4
    assert Tuning(batch_size=6, device_batch_size=4).device_batch("cuda", 99) == 3
    assert Tuning(batch_size=2, device_batch_size=8).device_batch("cuda", 99) == 2
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Tuning(batch_size=8, device_batch_size=8).device_batch("cuda", 99) == 2
    for size in (6, 2):
        with pytest.raises(ConfigError, match=f"tuning.batch_size={size}: cannot be divided among 4 processes"):
            Tuning(batch_size=size).device_batch("cuda", 99)
