"""`gradstep prepare` and `gradstep cache`, completion, and the commands that the pages show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.main import get_command

import gradstep as gs
from gradstep.cache_folder import mark, private_folder
from gradstep.cli.main import app
from tests.uncompiled import uncompiled

ROOT = Path(__file__).parents[2]
ONLY = ("--only", "km,hour,colour")


def bits(path):
    return gs.load(path).params.tobytes()


class TestPrepare:
    def test_gives_what_training_on_the_table_gives(self, told, trips):
        made = told("prepare", trips, "-t", "fare", *ONLY, "-o", "rows")
        rows = made["rows"]
        assert (rows["read"], rows["dropped"]) == (900, 0)
        assert rows["train"] + rows["validation"] == 900
        assert 60 < rows["validation"] < 120  # a tenth, each row by itself
        assert made["source"] == str(trips)
        one = told("train", "rows", "--max-iter", "3", "-m", "one.safetensors")
        other = told("train", trips, "-t", "fare", *ONLY, "--no-cache", "--max-iter", "3",
                     "-m", "other.safetensors")  # fmt: skip
        assert bits("one.safetensors") == bits("other.safetensors")
        assert one["validation"] == other["validation"]
        assert told("train", "rows", "--max-iter", "1")["model"] == "rows-fare.safetensors"

    def test_says_what_became_of_rows_and_columns(self, gradstep, trips):
        table = pl.read_csv(trips)
        table.with_columns(fare=pl.when(pl.col("km") > 1).then("fare")).write_csv("gaps.csv")
        status, out, err = gradstep("prepare", "gaps.csv", "-t", "fare", *ONLY, "-o", "rows")
        assert (status, err) == (0, "")
        flat = " ".join(out.split())
        dropped = (table["km"] <= 1).sum()
        assert f"Rows 900 read, {dropped} without a target dropped" in flat
        assert "Columns 3 of 12 used, as 6 features" in flat
        assert flat.endswith("Prepared rows")

    @uncompiled
    def test_knows_the_task_of_a_loss(self, told, trips):
        found = told("prepare", trips, "-t", "flag", *ONLY, "--loss", "poisson", "-o", "rows")
        assert found["target"]["classes"] is None
        fit = told("train", "rows", "--loss", "poisson", "--alpha", "1e-4", "--max-iter", "1")
        assert fit["loss"] == "Poisson()"

    def test_with_an_offset_belongs_to_its_loss(self, told, fails, trips):
        arguments = ("-t", "claims", *ONLY, "--offset", "log_exposure", "--loss", "poisson")
        told("prepare", trips, *arguments, "-o", "rows")
        assert "Give the same loss both times" in fails("train", "rows")
        one = told("train", "rows", "--loss", "poisson", "--max-iter", "2", "-m", "1.safetensors")
        other = told("train", trips, *arguments, "--no-cache", "--max-iter", "2",
                     "-m", "2.safetensors")  # fmt: skip
        assert bits("1.safetensors") == bits("2.safetensors")
        assert one["validation"] == other["validation"]

    def test_what_would_change_nothing_is_refused(self, told, fails, trips):
        told("prepare", trips, "-t", "fare", *ONLY, "-o", "rows")
        message = fails("train", "rows", "--drop", "km", "--random-state", "3")
        assert "rows is prepared: --drop, --random-state would change nothing" in message
        assert "prepared for the target 'fare', not 'km'" in fails("train", "rows", "-t", "km")

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ("-t fare -o .", "exists already"),
            ("-t fare -o /proc/none/x", "/proc/none/x cannot be written"),
            ("-t fair -o rows", "Did you mean 'fare'?"),
            ("-t fare -o rows --loss poison", "--loss poison is not known"),
            ("-t fare -o rows --missing error", "'hour' of .* is missing in"),
        ],
    )
    def test_errors_leave_nothing(self, fails, trips, tmp_path, arguments, message):
        assert re.search(message, fails("prepare", trips, *arguments.split()))
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.parametrize("arguments, word", [("-o rows", "--target"), ("-t fare", "--out")])
    def test_usage_errors(self, fails, trips, arguments, word):
        assert word in fails("prepare", trips, *arguments.split(), status=2)


class TestCache:
    @pytest.fixture
    def trained(self, told, trips):
        arguments = ("train", trips, "-t", "fare", *ONLY, "--max-iter", "2", "--cache", "kept")
        return told(*arguments), lambda *more: told(*arguments, *more)

    def test_is_used_again(self, told, trained):
        first, again = trained
        (entry,) = told("cache", "--cache", "kept")["tables"]
        assert again()["validation"] == first["validation"]
        (later,) = told("cache", "--cache", "kept")["tables"]
        assert later.pop("used") >= entry.pop("used") >= entry["written"]
        assert later == entry
        again("--random-state", "1")
        assert len(told("cache", "--cache", "kept")["tables"]) == 2

    def test_is_listed_and_cleared(self, gradstep, told, trained, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_LIMIT", "1000000000")
        (entry,) = told("cache", "--cache", "kept")["tables"]
        size = sum(p.stat().st_size for p in Path(entry["folder"]).iterdir())
        assert (entry["bytes"], entry["target"]) == (size, "fare")
        status, out, _ = gradstep("cache", "--cache", "kept")
        assert status == 0
        assert "trips.csv → fare" in out
        assert "used just now" in out
        assert out.endswith(
            "in kept: 1 prepared table of at most 1,000.0 MB (GRADSTEP_CACHE_LIMIT).\n"
        )
        _, out, _ = gradstep("cache", "--cache", "kept", "--clear", "--tables")
        assert out.splitlines()[-1].startswith("Deleted ")
        assert [*Path("kept").iterdir()] == []
        assert told("cache", "--cache", "kept")["tables"] == []

    def test_leaves_what_is_not_its_own(self, gradstep, trained):
        other = Path("kept", "thesis")
        other.mkdir()
        gradstep("cache", "--cache", "kept", "--clear", "--tables")
        assert [*Path("kept").iterdir()] == [other]

    def test_finds_damage_and_mends_it(self, gradstep, told, trained):
        first, again = trained
        (entry,) = told("cache", "--cache", "kept")["tables"]
        values = Path(entry["folder"], "train_values.npy")
        content = bytearray(values.read_bytes())
        content[-1] ^= 1
        values.write_bytes(content)
        assert "damage" not in told("cache", "--cache", "kept")["tables"][0]
        assert "damaged: " in gradstep("cache", "--cache", "kept", "--verify")[1]
        values.write_bytes(content[:-8])
        assert again()["validation"] == first["validation"]
        assert "damage" not in told("cache", "--cache", "kept", "--verify")["tables"][0]

    def test_of_the_user_is_where_the_environment_says(self, told, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
        folder = private_folder("kernels", "version")
        mark(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        (folder / "k").write_bytes(b"12345")
        found = told("cache", "--clear", "--tables", "--kernels")
        assert found["kernel_bytes"] == size + 5
        assert [*tmp_path.iterdir()] == [folder.parent]
        assert [*folder.parent.iterdir()] == []


class TestDemo:
    def test_tells_machines_the_same(self, told, gradstep):
        found = told("demo")
        _, out, _ = gradstep("demo")
        printed = [float(loss) for loss in re.findall(r"Loss: ([\d.]+)", out)]
        np.testing.assert_allclose(found["losses"], printed, atol=5e-5)
        assert f"w = {found['w']:.3f}, b = {found['b']:.3f}" in out


def commands():
    """Yield each command line of ours that a page shows, with the page."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ gradstep "):
                    yield pytest.param(line[2:].partition(" # ")[0], id=f"{page.name}: {line[2:]}")


class TestPages:
    def test_show_some(self):
        assert len([*commands()]) >= 5

    @pytest.mark.parametrize("line", [*commands()])
    def test_show_verbs_options_and_arguments_that_exist(self, line):
        verbs = get_command(app).commands
        _, verb, *words = shlex.split(line)
        assert verb in verbs
        options = {o: p for p in verbs[verb].params for o in (*p.opts, *p.secondary_opts)}
        arguments = [p for p in verbs[verb].params if p.param_type_name == "argument"]
        positional = 0
        words = iter(words)
        for word in words:
            if word.startswith("-"):
                name, equals, _ = word.partition("=")
                assert name in options, f"{verb} has no {name}"
                if not equals and not options[name].is_flag:
                    assert next(words, "-").startswith("-") is False
            else:
                positional += 1
        assert sum(p.required for p in arguments) <= positional <= len(arguments)

    def test_every_option_says_what_it_is(self):
        for verb in get_command(app).commands.values():
            assert verb.help
            for parameter in verb.params:
                assert parameter.help, f"{verb.name} {parameter.name}"


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_can_be_shown(self, gradstep, monkeypatch, shell):
        # else Typer looks for the shell that this process was started from
        monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
        status, out, _ = gradstep("--show-completion", shell)
        assert status == 0
        assert f"complete_{shell}" in out
