"""A method is one file: the one of docs/methods.md, and toys, used in recipes without any other."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.model.recipes import methods, recipe
from spikewright.model.training import checkpoint
from spikewright.model.training.run import Run
from spikewright.model.training.train import train

ROOT = Path(__file__).parents[3]
TINY = {
    "name": "tiny", "data": "digits", "timesteps": 2, "layers": ["4C3", "P2", "10"],
    "training": {"epochs": 2, "batch_size": 128, "learning_rate": 0.02, "threads": 1},
}  # fmt: skip

COUNTER = """
from spikewright.golden.errors import require
from spikewright.model.methods.base import Method
from spikewright.model.recipes.fields import field, integer
from spikewright.model.recipes.methods import Selector, register

@register
class Counter(Method):
    name = "counter"
    order = 95
    selector = Selector("count", "steps", default="nothing")
    stage_keys = {"count_by": field(integer(1, 9), 1, quiet=True)}
    training_keys = {"count_from": field(integer(0, 99), 0, quiet=True)}

    def begin(self, context):
        self.by, self.count = context.stage.count_by, context.recipe.training.count_from

    def after_step(self, step):
        self.count += self.by

    def log(self):
        return {"counted": self.count}

    def state(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state["count"]
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Methods that a test registers are forgotten after it."""
    known = {method.name: method for method in methods.known()}
    monkeypatch.setattr(methods, "_registered", known)
    return known


def load(text, folder, name="own_method"):
    """Import a file that holds `text`."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def staged(**keys):
    return {**TINY, "stages": [{"kind": "snn", **keys}]}


def shrink():
    page = (ROOT / "docs" / "methods.md").read_text()
    return re.search(r"## Your own method\n.*?```python\n(.*?)```", page, re.DOTALL)[1]


def test_the_method_of_the_docs_trains(tmp_path):
    with pytest.raises(
        BadInput, match="sparse is 'shrink', must be one of none, gradual, magnitude"
    ):
        recipe.from_dict(staged(sparse="shrink"))
    load(shrink(), tmp_path)
    read = recipe.from_dict(staged(sparse="shrink", shrink={"by": 0.01}))
    assert recipe.from_dict(read.as_dict()) == read
    assert read.as_dict()["stages"] == [{"kind": "snn", "sparse": "shrink", "shrink": {"by": 0.01}}]
    train(read, tmp_path / "shrunk")
    train(recipe.from_dict(staged()), tmp_path / "plain")
    shrunk, plain = (zeros(tmp_path / name) for name in ("shrunk", "plain"))
    assert shrunk > plain + 10


def zeros(folder):
    weights = checkpoint.read(folder)[0]["best"]
    return sum(int((value == 0).sum()) for name, value in weights.items() if "weight" in name)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sparse": "shrink", "shrink": {"by": 2}},
         r"stages\[0\]\.shrink\.by is 2, must be a number within 0\.\.1"),
        ({"sparse": "shrink", "epochs": 1}, "epochs is 1, must be at least 2 with sparse"),
        ({"shrink": {"by": 0.1}},
         r"stages\[0\]: shrink is {'by': 0\.1}, must be left out unless sparse is 'shrink'"),
        ({"sparse": "shrinks"}, "sparse is 'shrinks', must be one of none, .*, admm, shrink"),
        ({"shrnk": {}}, "unknown key 'stages\\[0\\].shrnk'.*did you mean 'shrink'"),
    ],
)  # fmt: skip
def test_its_keys_are_checked_like_any_other(tmp_path, keys, message):
    load(shrink(), tmp_path)
    with pytest.raises(BadInput, match=message) as error:
        recipe.from_dict(staged(**keys))
    assert "\n" not in str(error.value)


def test_its_state_goes_on_after_an_interrupt(tmp_path):
    load(COUNTER, tmp_path)
    content = staged(count="steps", count_by=2)
    content["training"] = {**content["training"], "count_from": 7}
    read = recipe.from_dict(content)
    assert recipe.from_dict(read.as_dict()) == read

    def stop(progress):
        if progress.step >= progress.steps // 2 + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(read, tmp_path / "cut", progress=stop)
    train(read, tmp_path / "cut")
    train(read, tmp_path / "whole")
    cut, whole = (checkpoint.read(tmp_path / name)[0] for name in ("cut", "whole"))
    assert cut["history"] == whole["history"]
    steps = Run(read).steps
    assert f'"counted": {7 + 2 * steps}' in whole["history"]
    # Without the word the method is not there, and its options have no effect.
    assert not [m for m in Run(recipe.from_dict(staged())).trainer.methods if m.name == "counter"]


def test_the_order_of_hooks_is_that_of_the_declarations(tmp_path):
    load(COUNTER, tmp_path)
    orders = [method.order for method in methods.known()]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders) > 10
    assert methods.known()[-1].name == "counter"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "counter"', 'name = "dropout"', "method 'dropout'"),
        ('Selector("count", "steps", default="nothing")', 'Selector("sparse", "admm")',
         "sparse = 'admm', or its default 'none', is not apart from that of 'ADMM pruning'"),
        ('Selector("count", "steps", default="nothing")', 'Selector("distill", "both")',
         "distill = 'both', or its default 'none', is not apart from that of 'attention'"),
        ('Selector("count", "steps", default="nothing")', 'Selector("sparse", "none")',
         "sparse = 'none', or its default 'none', is not apart from that of 'gradual pruning'"),
        ('"count_by": field', '"temperature": field',
         "key 'temperature' is one of method 'distillation' already"),
    ],
)  # fmt: skip
def test_two_methods_with_one_name_or_word_are_refused(tmp_path, old, new, message):
    assert old in COUNTER
    with pytest.raises(BadInput, match=message):
        load(COUNTER.replace(old, new), tmp_path)
    load(COUNTER, tmp_path, "again")
    load(COUNTER, tmp_path, "again")  # the same file anew is the same method


def test_a_key_of_the_table_itself_is_refused(tmp_path):
    load(COUNTER.replace('"count_by": field', '"epochs": field'), tmp_path)
    with pytest.raises(BadInput, match="Stage: key 'epochs' is declared twice, must be once"):
        recipe.from_dict(staged())


def test_a_package_that_cannot_be_imported_is_named(tmp_path):
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[spikewright.methods]\nbroken = not_there\n")
    done = subprocess.run(
        [sys.executable, "-m", "spikewright", "train", "digits", "--out", str(tmp_path / "out")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "entry point 'broken' of spikewright.methods: not_there cannot be" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_installed_package_names_its_methods(tmp_path):
    (tmp_path / "counting.py").write_text(COUNTER)
    about = tmp_path / "counting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[spikewright.methods]\ncounter = counting\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from spikewright.model.recipes import methods\n"
        "assert 'counter' in [each.name for each in methods.known()]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_file_of_the_kit_declares_every_method():
    for method in methods.known():
        assert method.__module__.startswith("spikewright.model.methods.")
        assert method.__doc__
        assert method.name
