"""Print what other programs measure of a disc and of one pixel; the tables of nuclei.md.

    python docs/discs.py
    xvfb-run -a python docs/discs.py     with ImageJ, which needs a display

It shows the programs that are installed: scikit-image, cp-measure, SimpleITK, diplib,
opencv-python-headless, mahotas and nyxus from PyPI, ImageJ from the system (Debian: imagej).
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import tifffile

from bmgd_data.nuclei import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Values = dict[str, float]
    Measure = Callable[[Mask], Values]

KEYS: Final = ("perimeter", "circularity", "solidity", "Feret", "major axis")
IMAGEJ: Final = Path("/usr/share/java/ij.jar")


def ours(mask: Mask) -> Values:
    """This package, in pixels."""
    found = measure(mask.astype(np.uint16), mask.astype(np.uint16), pixel_size_um=1)
    names = ("perimeter_um", "form_factor", "solidity", "feret_um", "major_axis_um")
    more = {"area": found["area_um2"], "aspect ratio": found["aspect_ratio"]}
    values = dict(zip(KEYS, (found[name] for name in names), strict=True)) | more
    return {name: float(each[0]) for name, each in values.items()}


def scikit_image(mask: Mask) -> Values:  # noqa: D103
    from skimage.measure import regionprops

    (region,) = regionprops(mask.astype(np.uint8))
    return {
        "perimeter": region.perimeter,
        "solidity": region.solidity,
        "Feret": region.feret_diameter_max,
        "major axis": region.axis_major_length,
        "Crofton": region.perimeter_crofton,
    }


def cp_measure(mask: Mask) -> Values:  # noqa: D103
    from cp_measure.bulk import get_core_measurements

    all_of_it = get_core_measurements()
    found: dict[str, NDArray[np.float64]] = {}
    for group in ("sizeshape", "feret"):
        found |= all_of_it[group](mask.astype(np.int32), np.ones(mask.shape))
    names = ("Perimeter", "FormFactor", "Solidity", "MaxFeretDiameter", "MajorAxisLength")
    return {key: float(found[name][0]) for key, name in zip(KEYS, names, strict=True)}


def simpleitk(mask: Mask) -> Values:  # noqa: D103
    import SimpleITK

    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
    return {
        "perimeter": shape.GetPerimeter(1),
        "circularity": shape.GetRoundness(1),
        "Feret": shape.GetFeretDiameter(1),
        "major axis": max(shape.GetEquivalentEllipsoidDiameter(1)),
        "moment": 4 * math.sqrt(max(shape.GetPrincipalMoments(1))),
    }


def diplib(mask: Mask) -> Values:  # noqa: D103
    import diplib as dip

    names = ["Perimeter", "Roundness", "Solidity", "Feret", "DimensionsEllipsoid"]
    found = dip.MeasurementTool.Measure(dip.Image(mask.astype(np.uint32)), None, names)
    return {key: found[1][name][0] for key, name in zip(KEYS, names, strict=True)}


def opencv(mask: Mask) -> Values:  # noqa: D103
    import cv2

    (outline, *_), _ = cv2.findContours(mask.astype(np.uint8), 0, cv2.CHAIN_APPROX_NONE)
    hull = cv2.contourArea(cv2.convexHull(outline))
    found = {"perimeter": cv2.arcLength(outline, closed=True)}
    return found | ({"solidity": cv2.contourArea(outline) / hull} if hull else {})


def mahotas(mask: Mask) -> Values:  # noqa: D103
    from mahotas import features, labeled

    return {
        "perimeter": labeled.perimeter(mask),
        "circularity": features.roundness(mask),
        "major axis": features.ellipse_axes(mask)[0],
    }


def nyxus(mask: Mask) -> Values:  # noqa: D103
    from nyxus import Nyxus

    names = ("PERIMETER", "CIRCULARITY", "SOLIDITY", "STAT_FERET_DIAM_MAX", "MAJOR_AXIS_LENGTH")
    found = Nyxus(["*ALL_MORPHOLOGY*"]).featurize(
        np.full(mask.shape, 100, np.uint32), mask.astype(np.uint32)
    )
    return {key: float(found[name].iloc[0]) for key, name in zip(KEYS, names, strict=True)}


def imagej(mask: Mask) -> Values:
    """What Analyze Particles gives; a home of its own keeps the user's settings."""
    with tempfile.TemporaryDirectory() as folder:
        image, macro = Path(folder) / "mask.tif", Path(folder) / "macro.ijm"
        tifffile.imwrite(image, mask.astype(np.uint8) * 255)
        names = ("Perim.", "Circ.", "Solidity", "Feret", "Major")
        wanted = "area perimeter shape feret's fit redirect=None decimal=9"
        macro.write_text(
            f'open("{image}"); setThreshold(1, 255); run("Set Measurements...", "{wanted}");'
            'run("Analyze Particles...", "size=0-Infinity display");'
            'print("version", getVersion());'
            + "".join(f'print("{name}", getResult("{name}", 0));' for name in names)
        )
        command = ["java", f"-Duser.home={folder}", "-jar", str(IMAGEJ), "-batch", str(macro)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = dict(line.split(" ") for line in shown.splitlines() if line.count(" ") == 1)
    VERSIONS["ImageJ"] = found["version"]
    return {key: float(found[name]) for key, name in zip(KEYS, names, strict=True)}


class Program(NamedTuple):
    """Another program."""

    name: str
    distribution: str
    measure: Measure


PROGRAMS: Final = (
    Program("this package", "numpy", ours),
    Program("ImageJ", "", imagej),
    Program("scikit-image", "scikit-image", scikit_image),
    Program("cp_measure", "cp_measure", cp_measure),
    Program("SimpleITK", "SimpleITK", simpleitk),
    Program("DIPlib", "diplib", diplib),
    Program("OpenCV", "opencv-python-headless", opencv),
    Program("mahotas", "mahotas", mahotas),
    Program("Nyxus", "nyxus", nyxus),
)
VERSIONS: Final[dict[str, str]] = {}
FROM_OURS: Final[dict[tuple[str, str], Callable[[Values], float]]] = {
    ("scikit-image", "major axis"): lambda v: math.sqrt(v["major axis"] ** 2 - 4 / 3),
    ("scikit-image", "Crofton"): lambda v: v["perimeter"],
    ("cp_measure", "major axis"): lambda v: math.sqrt(v["major axis"] ** 2 - 4 / 3),
    ("ImageJ", "solidity"): lambda v: v["solidity"],
    ("ImageJ", "Feret"): lambda v: v["Feret"],
    ("ImageJ", "major axis"): lambda v: 2 * math.sqrt(v["area"] * v["aspect ratio"] / math.pi),
    ("SimpleITK", "perimeter"): lambda v: v["perimeter"],
    ("SimpleITK", "circularity"): lambda v: math.sqrt(v["circularity"]),
    ("SimpleITK", "moment"): lambda v: math.sqrt(v["major axis"] ** 2 - 4 / 3),
    ("DIPlib", "major axis"): lambda v: math.sqrt(v["major axis"] ** 2 - 4 / 3),
    ("mahotas", "major axis"): lambda v: math.sqrt(v["major axis"] ** 2 - 4 / 3) / 2,
    ("Nyxus", "major axis"): lambda v: v["major axis"],
}
"""Values of other programs, made of ours, in pixels."""


def installed(program: Program) -> bool:
    """Whether it can be run here; notes its version."""
    if not program.distribution:
        return IMAGEJ.exists() and bool(shutil.which("java")) and "DISPLAY" in os.environ
    try:
        VERSIONS[program.name] = "" if program.measure is ours else version(program.distribution)
    except PackageNotFoundError:
        return False
    return True


def ellipse(a: float, b: float, angle: float = 0) -> Mask:
    """A filled ellipse in the middle of (61, 61) pixels."""
    y, x = np.mgrid[:61, :61] - 30
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def main() -> None:
    """Both tables."""
    warnings.simplefilter("ignore")
    programs = [program for program in PROGRAMS if installed(program)]
    print(f"| program | {' | '.join(KEYS)} | one pixel: Feret, perimeter |")
    print("| --- |" + " ---: |" * (len(KEYS) + 1))
    for program in programs:
        disc, pixel = program.measure(ellipse(20, 20)), program.measure(ellipse(0.5, 0.5))
        cells = [f"{disc[key]:.5g}" if key in disc else "-" for key in KEYS]
        small = [f"{pixel[key]:.2f}" if key in pixel else "-" for key in ("Feret", "perimeter")]
        name = f"{program.name} {VERSIONS[program.name]}".strip()
        print(f"| {name} | {' | '.join(cells)} | {', '.join(small)} |")
    print("\nLargest relative difference from what is made of ours, on 12 ellipses:")
    rng = np.random.default_rng(0)
    shapes = [ellipse(*rng.uniform(4, 25, 2), rng.uniform(0, 3)) for _ in range(12)]
    theirs = {program.name: [program.measure(shape) for shape in shapes] for program in programs}
    for (name, key), make in FROM_OURS.items():
        if name in theirs:
            pairs = zip(theirs[name], theirs["this package"], strict=True)
            off = max(abs(make(own) / their[key] - 1) for their, own in pairs)
            print(f"  {name}, {key}: {off:.1e}")


if __name__ == "__main__":
    main()
