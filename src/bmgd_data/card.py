"""The data set card, written from ``facts``: nothing is said twice, nothing that was not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
"""What users of the data should know."""


def dataset_card(
    readers: Mapping[str, Reader] | None = None, configs: str = "", files: str = ""
) -> str:
    """Write a data set card as Hugging Face reads it: a YAML head and Markdown.

    Args:
        readers: What was exported, by split; adds a section about that copy.
        configs: More lines for the head, such as which files are which split.
        files: What lies where in that copy, and how it is read.

    Returns:
        The text of a README.md.
    """
    readers = readers or {}
    images = sum(map(len, readers.values())) or facts.IMAGES
    parts = (
        _head(images, configs),
        f"# {facts.NAME}, the {facts.LONG_NAME}\n\n{_INTRODUCTION}",
        copy_of(readers) if readers else "",
        f"## Files\n\n{files}" if files else "",
        f"## Images and nuclei\n\nAs the paper counts them.\n\n{_conditions()}",
        f"## Splits\n\n{_splits()}",
        f"## Acquisition\n\n{_acquisition()}",
        f"## Intended use\n\n{INTENDED_USE}",
        f"## Licence\n\nOf the data: {facts.DATA_LICENSE}.",
        f"## Known limits\n\n{_listed(LIMITS)}",
        f"## Not verified\n\n{_unverified()}",
        f"## Citation\n\n{facts.CITATION}\n\n```bibtex\n{facts.BIBTEX}```",
        _listed(_LINKS),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def copy_of(readers: Mapping[str, Reader]) -> str:
    """Say, as a section, what the samples of these readers are: source, version, counts."""
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
    """What the samples are, in a few lines of text."""
    told = "\n".join(f"{key}: {value}" for key, value in provenance(reader).items())
    return f"{facts.NAME}, the {facts.LONG_NAME}.\n{told}"


def provenance(reader: Reader) -> dict[str, Any]:
    """What the samples of a reader are: the same keys in every output, values as JSON has them.

    ``full_scale`` is the grey value that the bit depth ends at, or one by stiffness where they
    differ.
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


def _conditions() -> str:
    rows = [(f"{c.pa} Pa", c.images, c.nuclei) for c in facts.CONDITIONS]
    rows.append(("all", facts.IMAGES, facts.NUCLEI))
    return _table(
        ("stiffness", "images", "nuclei", "nuclei per image"),
        [(name, images, nuclei, f"{nuclei / images:.2f}") for name, images, nuclei in rows],
    )


def _splits() -> str:
    rows = [(name, size) for name, size in facts.SPLIT_SIZES.items()]
    return _table(("split", "images of the whole set"), rows)


def _acquisition() -> str:
    return _listed(f"{key}: {value}" for key, value in facts.ACQUISITION.items())


def _unverified() -> str:
    lines = ["Counts, pixel size and acquisition: the paper's word. None was measured again."]
    archives = [condition.archive for condition in facts.CONDITIONS]
    if unknown := [archive for archive in archives if archive not in facts.SHA256]:
        lines.append(
            f"The archives {', '.join(unknown)}: their sha256 is not known to this package, so a "
            "first download is trusted and not compared with anything."
        )
    return _listed(lines)


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, rule, *rows))
