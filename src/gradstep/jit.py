"""Compilation: the one decorator that makes a function fast, and its cache on disk.

Numba's own disk cache does not notice when a function that a kernel calls changes in
another file, and two processes that fill it at once can mix up their files. This cache
avoids both: every compiled form is one file, named by everything that it depends on (the
package's compiled sources, the function, the types, the processor, the versions, Numba's
settings), whole or not there. One process compiles each, while others wait for it. It is read
only if nobody else can have written it. What was compiled for a user's own component is never
kept, since its source is not ours to watch. Before the cache comes what the package brought along
(`gradstep.wheel_kernels`): so bits do not depend on what the cache holds.

Importing this module imports Numba (0.3 to 0.5 s): import it where training starts.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import re
import sysconfig
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite
import numba
import numpy as np
from llvmlite.binding import get_host_cpu_features
from numba.core import event, types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.extending import register_jitable

from gradstep.cache_folder import mark, private_folder, remove_marked, why_not_trusted
from gradstep.claims import Claims
from gradstep.compiling import CLOCK
from gradstep.diagnostics.of_machines import CACHE_NOT_TRUSTED
from gradstep.errors import CacheWarning
from gradstep.files import writing_file
from gradstep.wheel_kernels import LEVEL, kernels_brought

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "FAST_MATH",
    "INLINED",
    "compile_to_address",
    "compiled",
    "folder_brought",
    "inlined",
    "inlined_in_order",
    "kernel_folder",
    "sources_digest",
]

# Sums may be taken in another order and products fused, which is what lets the compiler
# use vector instructions; infinities and NaN keep their meaning (divergence shows in them).
FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}
JIT_OPTIONS: dict[str, Any] = {"fastmath": FAST_MATH, "error_model": "numpy", "nogil": True}
INLINED: dict[str, Any] = {"fastmath": FAST_MATH, "error_model": "numpy", "forceinline": True}
_IN_ORDER: dict[str, Any] = INLINED | {"fastmath": FAST_MATH - {"reassoc"}}

# What compiled code is made of: the components and layouts, and all folders of that name.
_COMPILED_SOURCES = (
    "jit.py",
    "objective/*.py",
    "optim/optimizers/*.py",
    "rows/layouts/*.py",
    "**/kernels/*.py",
)
_FORGET_AFTER_DAYS = 30
_DIGEST_BYTES = 32  # of SHA-256, in front of each file
# Settings of Numba under which kernels were compiled that came with the package.
_OF_LEVEL = {"CPU_NAME": repr(LEVEL.processor), "CPU_FEATURES": repr(LEVEL.features)}
# Settings of Numba that change no machine code, and may differ without anyone having set them.
_NO_CODE = re.compile(r"^_|CUDA|THREAD|CACHE_DIR|COLOR|GDB_BINARY|PROFILER")


@cache
def sources_digest() -> str:
    """Return what names the sources of kernels, and all that makes machine code of them."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for pattern in _COMPILED_SOURCES:
        for source in sorted(package.glob(pattern)):
            digest.update(source.read_bytes())
    # of NumPy the layout of arrays, of Python that of its objects: as wheels depend on them
    numpy = ".".join(np.__version__.split(".")[:2])
    abi = str(sysconfig.get_config_var("SOABI"))
    for version in (numba.__version__, llvmlite.__version__, numpy, abi):
        digest.update(version.encode())
    return digest.hexdigest()[:16]


@cache
def folder_brought() -> Path | None:
    """Return the folder of kernels that came with the package, None if they are of no use."""
    if numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None:
        return None  # somebody wants them for another processor
    try:
        features = get_host_cpu_features()
    except RuntimeError:  # LLVM does not know
        return None
    return kernels_brought(sources_digest(), features)


@cache
def kernel_folder() -> Path | None:
    """Return the folder of kernels compiled from these very sources, None if unwritable."""
    try:
        folder = private_folder("kernels", sources_digest())
        # Whoever may write there chooses what runs here: kernels are machine code.
        for path in (folder.parent, folder):
            if why := why_not_trusted(path.lstat()):
                _warn(path, why)
                return None
        mark(folder)
        os.utime(folder)
    except OSError:
        return None
    _forget_old(folder)
    return folder


@cache  # once for each
def _warn(path: Path, why: str) -> None:
    CACHE_NOT_TRUSTED.warn(
        f"{path} is not used, since {why}: kernels are compiled again by each process. Delete it, "
        "or set GRADSTEP_CACHE_DIR to a folder that nobody else may write to.",
        CacheWarning,
    )


def _forget_old(current: Path) -> None:
    """Delete kernels of other versions that nobody has used for a month."""
    limit = time.time() - _FORGET_AFTER_DAYS * 86400
    for folder in current.parent.iterdir():
        with contextlib.suppress(OSError):  # another process may be forgetting it, too
            if folder != current and folder.stat().st_mtime < limit:
                remove_marked(folder)


def _settings() -> list[tuple[str, str]]:
    """Return what the environment or a program set in Numba that may change machine code.

    One that is not known to change none counts: bounds checks, the level of optimisation, vector
    instructions, the processor, debugging.
    """
    named = (name for name in dir(numba.config) if name.isupper() and not _NO_CODE.search(name))
    return [(name, repr(getattr(numba.config, name))) for name in named]


class _ToClock(event.Listener):
    """Tells the clock when Numba compiles, and gives up what cannot be compiled.

    Meanwhile nobody looks for garbage: a compiler makes millions of objects and little of that, and
    looking took a fifth of its time.
    """

    def __init__(self) -> None:
        self._collects = False

    def on_start(self, _event: Any) -> None:
        """Start the clock."""
        if not CLOCK.is_on:
            self._collects = gc.isenabled()
            gc.disable()
        CLOCK.begin()

    def on_end(self, event: Any) -> None:
        """Stop it."""
        CLOCK.end()
        if self._collects and not CLOCK.is_on:
            gc.enable()
        # not `is_failed`, which Numba 0.68 says of what went well
        if event._exc_details is not None and not CLOCK.is_on:
            _CLAIMS.give_back_all()


_CLAIMS = Claims()
_BY_ADDRESS: list[Any] = []


event.register("numba:compile", _ToClock())


def _component_classes(kind: Any) -> Iterator[type]:
    """Yield the NamedTuple classes in a Numba type, nested ones too."""
    if isinstance(kind, types.BaseNamedTuple):
        yield kind.instance_class
    for part in getattr(kind, "types", ()):
        yield from _component_classes(part)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


class KernelCache(_Cache):
    """Compiled forms of one function on disk, a file each.

    Parameters
    ----------
    function : callable
        The function.
    of : Numba type, optional
        A component that it is made for, besides those that it takes.
    """

    def __init__(self, function: Callable[..., Any], of: Any = None) -> None:
        self._function, self._of = function, of
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Return the folder, or an empty string if nothing can be kept."""
        return str(kernel_folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled form for a signature, None if it is not there."""
        target_context.refresh()
        if (brought := self._brought(sig, target_context)) is not None:
            return brought
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        found = self._read(path, target_context)
        if found is not None:
            return found
        CLOCK.begin()  # another process may be at it
        _CLAIMS.take(path)
        found = self._read(path, target_context)
        CLOCK.end()
        if found is not None:
            _CLAIMS.give_back(path)
        return found

    @staticmethod
    def _read(path: Path, target_context: Any) -> Any:
        """Return the compiled form in a file, None if it is not there, not sound or not ours."""
        try:
            with open(path, "rb", opener=_open_no_link) as file:
                if why := why_not_trusted(os.fstat(file.fileno())):
                    _warn(path, why)
                    return None
                data = file.read()
        except OSError:
            return None
        return KernelCache._rebuilt(data, target_context)

    @staticmethod
    def _rebuilt(data: bytes, target_context: Any) -> Any:
        """Return the compiled form that a file holds, None if it is damaged."""
        digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != digest:
            return None  # damaged: compiled again, and written over
        return CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled form, if it may be kept."""
        path = self._path(sig, data.codegen)
        # addresses of this process are left in the code where nothing was optimised (NUMBA_OPT=0)
        if path is not None and not data.library.has_dynamic_globals:
            payload = dumps(data._reduce())
            # a full or vanished disk: go on without
            with contextlib.suppress(OSError), writing_file(path, private=True) as file:
                file.write(hashlib.sha256(payload).digest() + payload)
        if path is not None:
            _CLAIMS.give_back(path)

    def enable(self) -> None:
        """Use the cache."""
        self._enabled = True

    def disable(self) -> None:
        """Do not use the cache."""
        self._enabled = False

    def flush(self) -> None:
        """Forget nothing: files are named by what they hold."""

    def _brought(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled form that came with the package, None if there is none."""
        folder = folder_brought() if self._enabled else None
        if folder is None:
            return None
        triple = target_context.codegen().magic_tuple()[0]
        settings = [(name, _OF_LEVEL.get(name, value)) for name, value in _settings()]
        name = self._file_name(sig, (triple, LEVEL.processor, LEVEL.features), settings)
        # as it lies beside the sources: whoever may write there may write these as well
        with contextlib.suppress(OSError):
            return self._rebuilt((folder / name).read_bytes(), target_context) if name else None
        return None

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        folder = kernel_folder() if self._enabled else None
        name = folder and self._file_name(sig, codegen.magic_tuple(), _settings())
        return folder / name if folder and name else None

    def _file_name(self, sig: Any, processor: Any, settings: Any) -> str:
        """Return the name of the file of a form; empty if that may not be kept."""
        arguments = sig.args if hasattr(sig, "args") else sig
        own = [c for a in (*arguments, self._of) for c in _component_classes(a)]
        if any(c.__module__.partition(".")[0] != "gradstep" for c in own):
            return ""
        name = self._function.__name__
        module, classes = self._function.__module__, [f"{c.__module__}.{c.__name__}" for c in own]
        key = repr((module, name, sig, self._of, classes, processor, settings))
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a part of the compiled functions that call it; callable uncompiled, too.

    What a compiled function calls must become part of it. A function that stays one of its own is
    compiled once for itself and once more, perhaps to other last bits, with each of its callers,
    and which of these runs depends on what the process happened to load first.
    """
    inlined_function: Callable[..., Any] = register_jitable(**INLINED)(function)
    return inlined_function


def inlined_in_order(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a part of those that call it, in which sums are taken as they are written."""
    inlined_function: Callable[..., Any] = register_jitable(**_IN_ORDER)(function)
    return inlined_function


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called with each combination of types.

    The compiled function releases the GIL. With ``NUMBA_DISABLE_JIT=1`` the function is
    returned as it is.
    """
    dispatcher = numba.njit(**JIT_OPTIONS)(function)
    if dispatcher is not function:
        dispatcher._cache = KernelCache(function)
    return dispatcher


def compile_to_address(function: Callable[..., Any], signature: Any, of: Any) -> int:
    """Compile a function that compiled functions call by its address; return the address.

    Parameters
    ----------
    function : callable
        Its free variables may be functions that `of` determines.
    signature : Numba signature
        Of arguments as C has them.
    of : Numba type
        The component that it is made for.
    """
    dispatcher = numba.njit(**JIT_OPTIONS)(function)
    dispatcher._cache = KernelCache(function, of)
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature.args]
    _BY_ADDRESS.append(dispatcher)  # the machine code lives as long as it does
    # the function as C calls it, which Numba makes of each
    wrapper = result.fndesc.llvm_cfunc_wrapper_name
    return int(result.library.get_pointer_to_function(wrapper))
