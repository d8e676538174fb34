"""The data set card, written from ``facts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, facts
from bmgd_data._tables import Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bmgd_data.reader import Reader

__all__ = ["LIMITS", "dataset_card"]

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"))

UNITS: Final = (
    "image: raw grey values, 0 to full_scale; pixel_size_um: micrometres; stiffness_pa: pascal"
)

PREPARATION: Final = (
    "Before annotation, images were thresholded, filtered and blurred. Whether the released ones "
    "carry that is not known."
)
INTENDED_USE: Final = (
    "Training and comparing methods that segment nuclei in fluorescence images, by pixel or by "
    "nucleus, as the paper does."
)
LIMITS: Final = (
    *"""\
The paper does not publish which image is in which split. The splits here have its sizes and are \
this package's own.
Slices of one colony look alike, and a random split lets them straddle train and test: scores on \
it are likely too good.
Whether touching nuclei are separated in the masks is not known. Instance masks from connected \
components count nuclei that touch as one.
Images hold 12 bits in 16, so a viewer that does not stretch the contrast shows them nearly black.\
""".splitlines(),
    PREPARATION,
)
"""Known limits of the data."""


def dataset_card(
    readers: Mapping[str, Reader] | None = None, configs: str = "", files: str = ""
) -> str:
    """Write a data set card as Hugging Face reads it: a YAML head and Markdown.

    Args:
        readers: The exported samples, by split; adds a section about that copy.
        configs: More lines for the head, such as the files of each split.
        files: The files of that copy, and how to read them.

    Returns:
        The text of a README.md.
    """
    readers = readers or {}
    images = sum(map(len, readers.values())) or facts.IMAGES
    sizes = [(split, str(size)) for split, size in facts.SPLIT_SIZES.items()]
    parts = (
        _head(images, configs),
        f"# {facts.NAME}, the {facts.LONG_NAME}\n\n{_INTRODUCTION}",
        copy_of(readers) if readers else "",
        f"## Files\n\n{files}" if files else "",
        f"## Images and nuclei\n\nAs the paper counts them.\n\n{paper().to_markdown()}",
        f"## Splits\n\n{Grid(('split', '>images of the whole set'), sizes).to_markdown()}",
        f"## Acquisition\n\n{_listed(': '.join(each) for each in facts.ACQUISITION.items())}",
        f"## Intended use\n\n{INTENDED_USE}",
        f"## Licence\n\nOf the data: {facts.DATA_LICENSE}.",
        f"## Known limits\n\n{_listed(LIMITS)}",
        f"## Not verified\n\n{_unverified()}",
        f"## Citation\n\n{facts.CITATION}\n\n```bibtex\n{facts.BIBTEX}```",
        _listed(_LINKS),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def copy_of(readers: Mapping[str, Reader]) -> str:
    """A section on the samples of these readers: source, version, counts."""
    first = next(iter(readers.values()))
    lines = [
        f"Source: {first.source.label_for_others}",
        f"Data version: {first.digest[:12]}",
        f"Instance masks: {first.instance_method}",
        f"Splits: scheme {first.scheme!r}",
        f"Grey values: 0 to {provenance(first)['full_scale']}",
        f"Pixel size: {facts.PIXEL_SIZE_UM} um, as the paper says",
        f"Written by: bmgd-data {__version__}",
    ]
    lines += [
        f"{name or reader.split}: {len(reader)} images, {reader.n_nuclei.sum()} nuclei"
        for name, reader in readers.items()
    ]
    generated = f"**These images are generated. They are not {facts.NAME}.**\n\n"
    return f"## This copy\n\n{generated if first.source.generated else ''}{_listed(lines)}"


def description(reader: Reader) -> str:
    """The provenance of the samples, as text."""
    lines = [f"{key}: {value}" for key, value in provenance(reader).items()]
    return "\n".join([f"{facts.NAME}, the {facts.LONG_NAME}.", *lines])


def provenance(reader: Reader) -> dict[str, Any]:
    """The provenance of a reader's samples: the same keys in every output, values as JSON has them.

    ``full_scale`` is the largest grey value of the bit depth, by stiffness if they differ.
    """
    scales = {f"{pa}Pa": scale for pa, scale in reader.full_scales.items()}
    same = len(set(scales.values())) == 1
    return {
        "full_scale": next(iter(scales.values())) if same else scales,
        "pixel_size_um": facts.PIXEL_SIZE_UM,
        "units": UNITS,
        "instance_method": reader.instance_method,
        "scheme": reader.scheme,
        "source": reader.source.label_for_others,
        "licence": facts.DATA_LICENSE,
        "digest": reader.digest,
    }


def paper() -> Grid:
    """Images and nuclei of each stiffness, and of all, as the paper counts them."""
    rows = [[c.name, *_counted(c.images, c.nuclei)] for c in facts.CONDITIONS]
    rows.append(["all", *_counted(facts.IMAGES, facts.NUCLEI)])
    return Grid(("stiffness", ">images", ">nuclei", ">nuclei per image"), rows)


def counts(reader: Reader) -> Grid:
    """Images and nuclei of each stiffness of a Reader, and of all, beside the paper's."""
    stiffness, nuclei = reader.stiffness_pa, reader.n_nuclei
    own = reader.conditions
    parts = [(c.name, nuclei[stiffness == c.pa], c.images, c.nuclei) for c in own]
    if len(own) > 1:
        parts.append(("all", nuclei, sum(c.images for c in own), sum(c.nuclei for c in own)))
    method = reader.instance_method
    return Grid(
        (
            *("stiffness", ">images", f">nuclei by {method}", ">per image"),
            *(">paper: images", ">paper: nuclei", ">paper: per image"),
        ),
        [
            [name, *_counted(len(ours), int(ours.sum())), *_counted(images, theirs)]
            for name, ours, images, theirs in parts
        ],
        [f"Nuclei: in the masks, told apart by {method}; in the paper, by hand."],
        "Counts beside the paper's",
    )


def _counted(images: int, nuclei: int) -> list[str]:
    return [str(images), str(nuclei), f"{nuclei / max(images, 1):.2f}"]


def _head(images: int, configs: str) -> str:
    size = next((size for most, size in _SIZES if images < most), "10K<n<100K")
    return f"""\
---
pretty_name: "{facts.NAME}, the {facts.LONG_NAME}"
license: unknown
task_categories:
- image-segmentation
task_ids:
- semantic-segmentation
- instance-segmentation
size_categories:
- {size}
tags:
- biology
- microscopy
- fluorescence
- confocal
- nuclei
- DAPI
{configs}---"""


_INTRODUCTION: Final = (
    f"{facts.ACQUISITION['Cells']}; stained with {facts.ACQUISITION['Stain']}. Each image comes "
    "with a binary mask of its nuclei and an instance mask."
)
_LINKS: Final = (
    f"Paper: <{facts.PAPER_URL}>",
    f"Data: <{facts.REPOSITORY}>",
    f"Authors' code: <{facts.AUTHORS_CODE}>",
)


def _unverified() -> str:
    lines = ["Counts, pixel size and acquisition are the paper's. None was measured again."]
    if unknown := [c.archive for c in facts.CONDITIONS if c.archive not in facts.SHA256]:
        lines.append(
            f"The sha256 of the archives {', '.join(unknown)} is not known to this package, so a "
            "first download is trusted and not compared with anything."
        )
    return _listed(lines)


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
