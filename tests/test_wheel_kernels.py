"""Kernels that a wheel brings along: used where they fit, else compiled as without them."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import llvmlite.binding as llvm
import numpy as np
import pytest

from gradstep import jit, wheel_kernels
from gradstep.machines.identity import identity
from gradstep.wheel_kernels import LEVEL, kernels_brought
from tests.processes import python

HERE = llvm.get_host_cpu_features()
WANTED = LEVEL.names
of_this_level = pytest.mark.skipif(
    not all(HERE.get(name, False) for name in WANTED), reason="the processor is of a lower level"
)
PROGRAM = """
from pathlib import Path
from gradstep import jit, wheel_kernels
from gradstep.machines.identity import identity
wheel_kernels.FOLDER = Path({folder!r})
{more}
import numpy as np
from gradstep.data.kernels.columns import _gather_rows
out = np.zeros((3, 1))
_gather_rows(np.arange(4.0).reshape(4, 1), np.array([3, 0, 2], np.uint32), out)
print(*out[:, 0], sum(_gather_rows.stats.cache_hits.values()))
"""
OF_LEVEL = {"NUMBA_CPU_NAME": LEVEL.processor, "NUMBA_CPU_FEATURES": LEVEL.features}


def run(folder, cache, more="", **environment):
    """Return what the kernel has written, how often it came from disk, and what was kept."""
    process = python(PROGRAM.format(folder=str(folder), more=more), cache, **environment)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    *written, hits = out.split()
    assert written == ["3.0", "0.0", "2.0"]
    kept = [path.name.partition("-")[0] for path in Path(cache).rglob("*.bin")]
    return int(hits), kept


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """Return the folder that a wheel would have, with one kernel."""
    cache = tmp_path_factory.mktemp("level")
    assert run("none", cache, **OF_LEVEL) == (0, ["_gather_rows"])
    return cache / "kernels"


@of_this_level
class TestAcrossProcesses:
    def test_are_used_and_nothing_is_compiled(self, brought, tmp_path):
        assert run(brought, tmp_path) == (1, [])

    @pytest.mark.slow
    def test_come_before_the_cache(self, brought, tmp_path):
        """So that bits do not depend on whether a kernel was compiled before."""
        assert run("none", tmp_path) == (0, ["_gather_rows"])
        (kept,) = tmp_path.rglob("*.bin")
        kept.write_bytes(b"not to be read")
        assert run(brought, tmp_path)[0] == 1
        assert kept.read_bytes() == b"not to be read"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "environment",
        [
            {"NUMBA_CPU_NAME": "generic"},
            {"NUMBA_CPU_FEATURES": "+avx"},
            {"NUMBA_LOOP_VECTORIZE": "0"},
            {"NUMBA_BOUNDSCHECK": "1"},
        ],
        ids=str,
    )
    def test_are_not_used_under_other_settings(self, brought, tmp_path, environment):
        assert run(brought, tmp_path, **environment) == (0, ["_gather_rows"])

    @pytest.mark.slow
    def test_are_not_used_by_other_sources(self, brought, tmp_path):
        folder = tmp_path / "other"
        (found,) = [path for path in brought.iterdir() if path.is_dir()]
        shutil.copytree(found, folder / ("0" * 16))
        assert run(folder, tmp_path / "cache") == (0, ["_gather_rows"])

    @pytest.mark.slow
    def test_are_not_used_by_a_lesser_processor(self, brought, tmp_path):
        more = "import gradstep.jit; gradstep.jit.get_host_cpu_features = lambda: {'avx': True}"
        assert run(brought, tmp_path, more) == (0, ["_gather_rows"])

    @pytest.mark.slow
    def test_a_damaged_one_is_compiled(self, brought, tmp_path):
        shutil.copytree(brought, tmp_path / "damaged")
        (path,) = (tmp_path / "damaged").rglob("*.bin")
        path.write_bytes(path.read_bytes()[:-1])
        assert run(tmp_path / "damaged", tmp_path / "cache") == (0, ["_gather_rows"])


class TestFolder:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(wheel_kernels, "FOLDER", tmp_path)
        (tmp_path / "digest").mkdir()
        return tmp_path / "digest"

    def test_is_that_of_the_sources(self, folder):
        assert kernels_brought("digest", dict.fromkeys(WANTED, True)) == folder
        assert kernels_brought("another", dict.fromkeys(WANTED, True)) is None

    @pytest.mark.parametrize("name", WANTED)
    def test_needs_every_instruction_set_of_the_level(self, name):
        assert kernels_brought("digest", dict.fromkeys(WANTED, True) | {name: False}) is None


class TestDigest:
    """What a folder of kernels is known by: a wheel takes it to other machines."""

    @pytest.fixture
    def digest(self):
        return jit.sources_digest.__wrapped__

    @pytest.mark.parametrize("package", [jit.numba, jit.llvmlite], ids=["numba", "llvmlite"])
    def test_tells_versions(self, digest, package, monkeypatch):
        before = digest()
        monkeypatch.setattr(package, "__version__", f"{package.__version__}.post1")
        assert digest() != before

    def test_tells_the_minor_version_of_numpy_but_not_its_last_number(self, digest, monkeypatch):
        before, (major, minor, *_) = digest(), np.__version__.split(".")
        monkeypatch.setattr(jit.np, "__version__", f"{major}.{minor}.99")
        assert digest() == before
        monkeypatch.setattr(jit.np, "__version__", f"{major}.{int(minor) + 1}.0")
        assert digest() != before

    @pytest.mark.parametrize("abi", ["cpython-311d-x86_64-linux-gnu", "cpython-399t-darwin"])
    def test_tells_builds_of_python(self, digest, abi, monkeypatch):
        before = digest()
        monkeypatch.setattr(jit.sysconfig, "get_config_var", lambda _: abi)
        assert digest() != before

    def test_workers_with_and_without_a_wheel_differ(self, monkeypatch):
        without = identity.__wrapped__()
        monkeypatch.setattr("gradstep.machines.identity.folder_brought", lambda: Path("/wheel"))
        assert {k for k, v in identity.__wrapped__().items() if v != without[k]} == {"kernels"}


class TestWheel:
    """What the hook puts into a wheel; compiling all takes minutes: `make wheel`."""

    @pytest.fixture
    def module(self):
        return runpy.run_path("build_support/build_hook.py")

    @pytest.fixture
    def hook(self, module, tmp_path):
        (tmp_path / "src").symlink_to(Path("src").resolve())
        metadata = SimpleNamespace(core=SimpleNamespace(dependencies=["numba>=0.61"]))
        return module["CompiledKernels"](str(tmp_path), {}, None, metadata, str(tmp_path), "wheel")

    def patched(self, hook, monkeypatch, **functions):
        for name, function in functions.items():
            monkeypatch.setitem(hook.initialize.__func__.__globals__, name, function)

    @pytest.mark.parametrize("wanted, needed", [("1", ["numba>=0.61"]), ("0", []), ("", [])])
    def test_needs_what_fits_need_where_they_run(self, hook, monkeypatch, wanted, needed):
        monkeypatch.setenv("GRADSTEP_WHEEL_KERNELS", wanted)
        assert hook.dependencies() == needed

    def test_refuses_other_words(self, hook, monkeypatch):
        monkeypatch.setenv("GRADSTEP_WHEEL_KERNELS", "true")
        with pytest.raises(ValueError, match=r"must be 1, or 0 .*, not 'true'"):
            hook.dependencies()

    @pytest.mark.parametrize("version, wanted", [("standard", "0"), ("editable", "1")])
    def test_is_for_all_platforms_unless_kernels_are_wanted(
        self, hook, monkeypatch, version, wanted
    ):
        monkeypatch.setenv("GRADSTEP_WHEEL_KERNELS", wanted)
        hook.initialize(version, build_data := {"force_include": {}})
        assert build_data == {"force_include": {}}

    def test_is_for_all_platforms_where_the_processor_is_of_no_use(self, hook, monkeypatch, capsys):
        monkeypatch.setenv("GRADSTEP_WHEEL_KERNELS", "1")
        names = " ".join(set(WANTED) - {"avx2", "fma"})
        self.patched(hook, monkeypatch, run=lambda *_: names)
        hook.initialize("standard", build_data := {"force_include": {}})
        assert build_data == {"force_include": {}}
        assert "not of the level x86-64-v3: it lacks avx2, fma." in capsys.readouterr().err

    def test_has_the_kernels_and_is_for_this_platform(self, hook, monkeypatch, tmp_path):
        kernel = tmp_path / "kernels/digest/one-1.bin"
        monkeypatch.setenv("GRADSTEP_WHEEL_KERNELS", "1")
        self.patched(
            hook, monkeypatch, run=lambda *_: " ".join(WANTED),
            compile_first_fits=lambda *_: [kernel],
        )  # fmt: skip
        hook.initialize("standard", build_data := {"force_include": {}})
        assert build_data == {
            "force_include": {str(kernel): "gradstep/compiled_kernels/digest/one-1.bin"},
            "pure_python": False,
            "infer_tag": True,
        }

    def test_compiles_for_the_level_and_under_no_other_settings(self, module, monkeypatch):
        monkeypatch.setenv("NUMBA_OPT", "0")
        monkeypatch.setenv("PYTHONPATH", "/of/pip")
        found = module["environment"](Path("/root"), LEVEL)
        assert {k: v for k, v in found.items() if k.startswith("NUMBA")} == OF_LEVEL
        assert found["PYTHONPATH"] == "/root/src:/of/pip"
        assert found["GRADSTEP_CACHE_DIR"] == "/root/build/wheel-kernels"

    @pytest.mark.parametrize("end, why", [(1, "ended with"), (0, "none were kept in")])
    def test_without_kernels_no_wheel_is_made(self, module, monkeypatch, tmp_path, end, why):
        class Process:
            def __init__(self, *_, **__):
                self.wait, self.kill = lambda: end, lambda: None

        compile_first_fits = module["compile_first_fits"]
        monkeypatch.setattr(module["subprocess"], "Popen", Process)
        monkeypatch.setitem(compile_first_fits.__globals__, "run", lambda *_: "")
        with pytest.raises(RuntimeError, match=why):
            compile_first_fits(tmp_path, LEVEL)

    @pytest.mark.slow
    def test_first_fits_run(self, tmp_path):
        """The third alone."""
        code = (
            "import runpy, sys; sys.argv[1:] = ['2', '1000']; "
            "runpy.run_path('build_support/first_fits.py', run_name='__main__')"
        )
        process = python(code, tmp_path, **OF_LEVEL)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert {"sum_evaluations", "score_rows"} <= {
            path.name.partition("-")[0] for path in tmp_path.rglob("*.bin")
        }
