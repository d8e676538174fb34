"""What the paper and upstream say of BMGD, and the spellings of its stiffnesses.

README, ``bmgd info``, CITATION.cff and the docs take every fact about the data from here. Source of
all figures, unless said otherwise: the preprint, doi 10.21203/rs.3.rs-8263420/v1.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

NAME: Final = "BMGD"
LONG_NAME: Final = "Breast Mammary Gland Dataset"
DOI: Final = "10.21203/rs.3.rs-8263420/v1"
PAPER_URL: Final = f"https://doi.org/{DOI}"
REPOSITORY: Final = "https://github.com/zt089/Breast-Mammary-Gland-Dataset-BMGD"
AUTHORS_CODE: Final = "https://github.com/zt089/BMGD-nuclei-segmentation"

UPSTREAM: Final = f"{REPOSITORY}/raw/main/"
"""Base address of the archives; an archive's quoted name is appended. No commit is pinned yet."""


class Condition(NamedTuple):
    """One substrate stiffness, as the paper's table counts it."""

    name: str
    """Canonical name, e.g. ``"1200Pa"``."""
    pa: int
    """Stiffness of the substrate in pascal."""
    archive: str
    """File name of the archive upstream."""
    images: int
    """Images (and masks) in the paper's table."""
    nuclei: int
    """Hand-annotated nuclei in the paper's table."""
    val: int
    """Images of the validation split when the count is the paper's; test is as large."""

    @property
    def folder(self) -> str:
        """The folder that the archive unpacks to, such as ``"1200 Pa"``."""
        return self.archive.removesuffix(".7z")


CONDITIONS: Final = (
    Condition("250Pa", 250, "250 Pa.7z", images=453, nuclei=5426, val=45),
    Condition("950Pa", 950, "950 Pa.7z", images=54, nuclei=453, val=5),
    Condition("1200Pa", 1200, "1200 Pa.7z", images=114, nuclei=1538, val=12),
    Condition("1800Pa", 1800, "1800 Pa.7z", images=198, nuclei=2144, val=20),
)
"""By ascending stiffness. The paper gives split sizes in total only (655/82/82), not which image is
in which split; the size for each condition is this package's choice."""

IMAGES: Final = 819
NUCLEI: Final = 9561
SPLIT_SIZES: Final = {"train": 655, "val": 82, "test": 82}

SHA256: Final[dict[str, str]] = {}
"""sha256 by archive name. Empty until upstream's archives are fetched: run ``bmgd download``, then
paste what ``bmgd checksums`` prints. Without an entry, the first good download of an archive is
trusted and noted."""

ACCEPTED: Final[dict[str, tuple[str, ...]]] = {}
"""Codes of doubts about upstream's archives that were checked and are harmless, by the archive's
sha256. Empty, since no archive of upstream has been seen yet."""

IMAGE_SHAPE: Final = (256, 256)
BIT_DEPTH: Final = 12
FULL_SCALE: Final = 4095
PIXEL_SIZE_UM: Final = 0.25
"""Width and height of a pixel in micrometres."""
Z_STEP_UM: Final = 1.0
"""Distance between neighbouring slices in micrometres."""

ACQUISITION: Final = {
    "Cells": "MCF10A mammary colonies, grown in 3-D on substrates of four stiffnesses",
    "Stain": "DAPI",
    "Microscope": "Zeiss LSM 710, confocal, 40x/1.1 water immersion",
    "Excitation": "405 nm",
    "Emission": "420-480 nm",
    "Voxel (x, y, z)": "0.25 x 0.25 x 1 um",
    "Pinhole": "1",
    "Images": "2-D slices of z-stacks, 256 x 256 pixels, 12-bit range (0..4095)",
    "Annotation": "Labkit in Fiji: random-forest draft, then verified by hand; over 800 hours",
}

CODE_LICENSE: Final = "MIT"
DATA_LICENSE: Final = "not stated upstream; ask the authors before redistributing"


class Baseline(NamedTuple):
    """One row of the paper's Table 2: a U-Net with this encoder, scores in percent."""

    encoder: str
    f1: float
    iou: float
    val_loss: float


BASELINES: Final = (
    Baseline("ResNet50", 93.22, 87.31, 0.06650),
    Baseline("MobileNetV2", 93.31, 87.45, 0.07459),
    Baseline("Inception-ResNetV2", 93.66, 88.08, 0.08286),
    Baseline("InceptionV3", 93.61, 87.99, 0.07875),
    Baseline("DenseNet121", 93.55, 87.89, 0.07849),
    Baseline("VGG19", 92.90, 86.73, 0.06006),
)
"""Loss, optimiser, schedule, batch size and epochs are not published, nor whether the scores are of
validation or test, so a validation loss cannot be compared."""

CITATION: Final = (
    "BMGD, the Breast Mammary Gland Dataset. Preprint, Research Square, "
    f"https://doi.org/{DOI} (authors and title as given there)."
)
BIBTEX: Final = f"""\
@misc{{bmgd,
  title        = {{{{BMGD}}: the Breast Mammary Gland Dataset}},
  howpublished = {{Preprint, Research Square}},
  doi          = {{{DOI}}},
  url          = {{{PAPER_URL}}},
  note         = {{Take authors and exact title from the DOI}}
}}
"""


Stiffness = str | int
"""One stiffness: ``"1200Pa"``, ``"1200 Pa"``, ``"1200"`` or ``1200``."""

_FORM: Final = re.compile(r"\s*(\d+)\s*(pa)?\s*", re.IGNORECASE)
_IN_A_NAME: Final = re.compile(
    r"(\d+)(?:%20|[ ._+-])*pa(?:(?:%20|[ ._+-])*(?:\(\d+\)|copy|kopie))*", re.IGNORECASE
)
"""Changed forms of "250 Pa": "250.Pa" (release assets), "250%20Pa" (curl), "250 Pa (1)" (browsers),
"250 Pa - Copy" (Windows)."""
_BY_PA: Final = {condition.pa: condition for condition in CONDITIONS}
_VALID: Final = ", ".join(repr(condition.name) for condition in CONDITIONS)


def parse_stiffness(stiffness: Stiffness | Iterable[Stiffness] | None) -> list[Condition]:
    """Read one stiffness, several, or None for all.

    Returns:
        The conditions, stiffness ascending, each once.

    Raises:
        ValueError: A value that is none of the four, or no value.
    """
    if stiffness is None:
        return list(CONDITIONS)
    single = isinstance(stiffness, str) or not isinstance(stiffness, Iterable)
    wanted: Iterable[object] = [stiffness] if single else stiffness  # type: ignore[assignment]
    chosen = {_one(value) for value in wanted}
    if not chosen:
        raise ValueError(f"No stiffness given. Valid: {_VALID}, several of them, or None for all.")
    return sorted(chosen, key=lambda condition: condition.pa)


def _one(value: object) -> Condition:
    if isinstance(value, str):
        match = _FORM.fullmatch(value)
        pa = int(match[1]) if match else None
    else:
        try:
            pa = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pa = None
    if pa not in _BY_PA:
        raise ValueError(f"Unknown stiffness {value!r}. Valid: {_VALID} (or 1200, '1200 Pa').")
    return _BY_PA[pa]


def named_by(name: str) -> Condition | None:
    """The condition that a name such as "250 Pa", "250.Pa" or "250%20Pa (1)" stands for, or None.

    The name is that of a folder, or of an archive without its ending.
    """
    match = _IN_A_NAME.fullmatch(name.strip())
    return _BY_PA.get(int(match[1])) if match else None
