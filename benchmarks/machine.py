"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    *("bmgd-data", "numpy", "py7zr", "tifffile", "scikit-image", "torch", "torchvision"),
)


def facts() -> dict[str, str]:
    """Cores, processor, memory, versions, and how busy the machine was."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if _POSIX else os.cpu_count()),
        "memory": f"{_memory_gb():.0f} GB" if _POSIX else "not told",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    if _POSIX:
        found["load before"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return found


_POSIX: Final = hasattr(os, "sched_getaffinity")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
