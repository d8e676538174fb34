"""Parquet, as Hugging Face, polars and pyarrow read it, with croissant.json beside it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import __version__, facts
from bmgd_data._system import disk
from bmgd_data.card import INTENDED_USE, LIMITS, PREPARATION, description, provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bmgd_data.export.parts import Part
    from bmgd_data.reader import Reader

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
        **part.provenance,
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
    known = {
        "description": _description(readers),
        "citation": facts.BIBTEX,
        "homepage": facts.REPOSITORY,
        "license": facts.DATA_LICENSE,
    }
    _write({"default": known}, folder / "dataset_infos.json")
    _write(_croissant(readers, folder), folder / "croissant.json")


def _write(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _croissant(readers: Mapping[str, Reader], folder: Path) -> dict[str, Any]:
    """The metadata as Croissant 1.0 has it.

    What is not known (licence, date of publication, creators) is left out.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": facts.NAME,
        "description": _description(readers),
        "url": facts.REPOSITORY,
        "citeAs": facts.BIBTEX,
        "version": _version(readers),
        "keywords": ["microscopy", "fluorescence", "confocal", "nuclei", "DAPI", "segmentation"],
        **_responsible(readers),
        "distribution": [_file(name, folder) for name in readers],
        "recordSet": [_splits(readers), *(_samples(name) for name in readers)],
    }


def _description(readers: Mapping[str, Reader]) -> str:
    texts = [description(reader) for reader in readers.values()]
    return texts[0] + f"\nLicence of the data: {facts.DATA_LICENSE}."


def _version(readers: Mapping[str, Reader]) -> str:
    """The package's version, and a digest of the data: upstream has no version."""
    digests = [provenance(reader)["digest"] for reader in readers.values()]
    package = ".".join([*__version__.split("."), "0", "0"][:3])
    return f"{package}+{disk.sha256_of(digests)[:12]}"


def _file(name: str, folder: Path) -> dict[str, Any]:
    path = folder / name / FILE
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}-parquet",
        "name": f"{name}-parquet",
        "contentUrl": f"{name}/{FILE}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": digest,
    }


_FIELDS: Final = {
    "image": ("sc:ImageObject", "Raw grey values, 0 to full_scale: PNG of 16 bits."),
    "mask": ("sc:ImageObject", "Nuclei are 1, all else 0: PNG of 1 bit."),
    "instances": ("sc:ImageObject", "Nuclei numbered 1..n, all else 0: PNG of 16 bits."),
    "stiffness_pa": ("sc:Integer", "Stiffness of the substrate in pascal."),
    "n_nuclei": ("sc:Integer", "Labels in instances."),
    "name": ("sc:Text", "<pa>Pa/<path below the image folder>; differs between samples."),
}


def _samples(split: str) -> dict[str, Any]:
    fields = []
    for key, (kind, about) in _FIELDS.items():
        source: dict[str, Any] = {
            "fileObject": {"@id": f"{split}-parquet"},
            "extract": {"column": key},
        }
        if kind == "sc:ImageObject":
            source["transform"] = {"jsonPath": "bytes"}
        fields.append(_field(split, key, kind, about) | {"source": source})
    about = f"One record for each image of the split {split}."
    return _record_set(split, about, "name", fields)


def _splits(readers: Mapping[str, Reader]) -> dict[str, Any]:
    fields = [
        _field("splits", "name", "sc:Text", "Name of the split, and of its record set."),
        _field("splits", "images", "sc:Integer", "Number of its images."),
    ]
    about = "The splits, each with a record set of its own."
    data = [{"splits/name": name, "splits/images": len(each)} for name, each in readers.items()]
    return _record_set("splits", about, "name", fields) | {"dataType": "cr:Split", "data": data}


def _record_set(
    name: str, about: str, key: str, fields: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": about,
        "key": {"@id": f"{name}/{key}"},
        "field": fields,
    }


def _field(of: str, name: str, kind: str, about: str) -> dict[str, Any]:
    known = {"@type": "cr:Field", "@id": f"{of}/{name}", "name": name}
    return {**known, "description": about, "dataType": kind}


def _responsible(readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The fields of the vocabulary for responsible AI that paper and card fill."""
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
"""As in the specification of Croissant 1.0; readers warn of any other."""
