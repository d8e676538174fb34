"""Parquet, as Hugging Face, polars and pyarrow read it, with croissant.json beside it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, facts
from bmgd_data._card import INTENDED_USE, LIMITS, PREPARATION, description, provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bmgd_data.export.pictures import Part
    from bmgd_data.reader import Reader

    Json = dict[str, Any]

FILE: Final = "samples.parquet"
"""In the folder of each split."""


def write(part: Part, folder: Path) -> list[str]:
    """Write ``samples.parquet``: the columns of `bmgd_data.hf.FEATURES`, images as PNG.

    Its metadata holds citation, description and provenance under the key ``bmgd``, besides what
    Hugging Face reads.

    Returns:
        The file of each sample, and after ``#`` its row there.
    """
    import pyarrow.parquet

    from bmgd_data.hf import to_hf

    dataset = to_hf(part.reader)
    about = {
        "description": dataset.info.description,
        "citation": dataset.info.citation,
        "homepage": dataset.info.homepage,
        **provenance(part.reader),
    }
    table = dataset.with_format("arrow")[:]
    known = table.schema.metadata or {}
    table = table.replace_schema_metadata({**known, b"bmgd": json.dumps(about).encode()})
    # The images are compressed already; groups of rows are what readers load at a time.
    pyarrow.parquet.write_table(table, folder / FILE, compression="none", row_group_size=100)
    part.tick(len(part.records))
    return [f"{FILE}#{row}" for row in range(len(part.records))]


def describe(readers: Mapping[str, Reader], folder: Path) -> None:
    """Write ``croissant.json``, and ``dataset_infos.json`` with citation and licence."""
    first = next(iter(readers.values()))
    about = f"{description(first)}\nLicence of the data: {facts.DATA_LICENSE}."
    info = {
        "description": about,
        "citation": facts.BIBTEX,
        "homepage": facts.REPOSITORY,
        "license": facts.DATA_LICENSE,
    }
    files = {
        "dataset_infos.json": {"default": info},
        "croissant.json": _croissant(readers, folder, about),
    }
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def _croissant(readers: Mapping[str, Reader], folder: Path, about: str) -> Json:
    """The metadata as Croissant 1.0 has it, without what is not known (licence, date, creators)."""
    package = ".".join([*__version__.split("."), "0", "0"][:3])  # upstream has no version
    splits = [{"splits/name": name, "splits/images": len(each)} for name, each in readers.items()]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": facts.NAME,
        "description": about,
        "url": facts.REPOSITORY,
        "citeAs": facts.BIBTEX,
        "version": package,  # TFDS takes three numbers only; `about` has the data's digest
        "keywords": ["microscopy", "fluorescence", "confocal", "nuclei", "DAPI", "segmentation"],
        **_responsible(readers),
        "distribution": [_file(name, folder / name / FILE) for name in readers],
        "recordSet": [
            _record_set("splits", "The splits, each with its own record set.", _SPLITS)
            | {"dataType": "cr:Split", "data": splits},
            *map(_samples, readers),
        ],
    }


def _file(split: str, path: Path) -> Json:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": f"{split}-parquet",
        "name": f"{split}-parquet",
        "contentUrl": f"{split}/{FILE}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": digest,
    }


_SPLITS: Final = (
    ("name", "sc:Text", "Name of the split, and of its record set."),
    ("images", "sc:Integer", "Number of its images."),
)
_SAMPLES: Final = (
    ("image", "sc:ImageObject", "Raw grey values, 0 to full_scale: PNG of 16 bits."),
    ("mask", "sc:ImageObject", "Nuclei are 1, all else 0: PNG of 1 bit."),
    ("instances", "sc:ImageObject", "Nuclei numbered 1..n, all else 0: PNG of 16 bits."),
    ("stiffness_pa", "sc:Integer", "Stiffness of the substrate in pascal."),
    ("n_nuclei", "sc:Integer", "Labels in instances."),
    ("name", "sc:Text", "<pa>Pa/<path below the image folder>; differs between samples."),
)


def _samples(split: str) -> Json:
    records = _record_set(split, f"One record for each image of the split {split}.", _SAMPLES)
    for field in records["field"]:
        extract = {"column": field["name"]}
        field["source"] = {"fileObject": {"@id": f"{split}-parquet"}, "extract": extract}
        if field["dataType"] == "sc:ImageObject":
            field["source"]["transform"] = {"jsonPath": "bytes"}
    return records


def _record_set(name: str, about: str, fields: Sequence[tuple[str, str, str]]) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": about,
        "key": {"@id": f"{name}/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field}",
                "name": field,
                "description": explained,
                "dataType": kind,
            }
            for field, kind, explained in fields
        ],
    }


def _responsible(readers: Mapping[str, Reader]) -> Json:
    """Fields of the vocabulary for responsible AI, as far as paper and card fill them."""
    generated = any(reader.source.generated for reader in readers.values())
    told = [f"{key}: {value}" for key, value in facts.ACQUISITION.items() if key != "Annotation"]
    if generated:
        told.insert(0, f"These images are generated and are not {facts.NAME}, described here")
    methods = sorted({reader.instance_method for reader in readers.values()})
    return {
        "rai:dataCollection": "; ".join(told) + ".",
        "rai:dataCollectionType": ["Synthetic" if generated else "Direct measurement"],
        "rai:dataPreprocessingProtocol": [PREPARATION],
        "rai:dataAnnotationProtocol": [
            facts.ACQUISITION["Annotation"],
            f"Instance masks here: {', '.join(methods)}.",
        ],
        "rai:machineAnnotationTools": ["Labkit (random forest)"],
        "rai:dataLimitations": list(LIMITS),
        "rai:dataBiases": [
            "One cell line, one stain and one microscope; images by stiffness: "
            + ", ".join(f"{c.images} at {c.pa} Pa" for c in facts.CONDITIONS)
            + "."
        ],
        "rai:dataUseCases": [INTENDED_USE],
        "rai:personalSensitiveInformation": ["None: the images show a cell line."],
    }


_TERMS: Final = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath"),
    *("key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source"),
    *("subField", "transform"),
)
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
}
"""As in the specification of Croissant 1.0; readers warn if it differs."""
