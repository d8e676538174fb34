"""nnU-Net's layout of raw data: a data set of training and test cases, and the split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import facts
from bmgd_data.export.pictures import write_one

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.pictures import Part

DATASET: Final = f"Dataset001_{facts.NAME}"
_PARTS: Final = {"train": "Tr", "val": "Tr", "test": "Ts"}
"""Ends of the folders by split."""


def write(part: Part, folder: Path) -> list[str]:
    """Write images, masks, ``dataset.json``, and ``splits_final.json`` if it divides the data.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    target = folder / DATASET
    for name in ("imagesTr", "labelsTr"):  # without them it is no data set
        (target / name).mkdir(parents=True)
    files: list[str] = []
    cases: dict[str, list[str]] = {split: [] for split in _PARTS}
    for entry in part:
        split = entry.record["split"]
        layout = {
            "image": f"{DATASET}/images{_PARTS[split]}/{{stem}}_0000.png",  # of channel 0
            "classes": f"{DATASET}/labels{_PARTS[split]}/{{stem}}.png",
        }
        files.append(write_one(entry, folder, layout)["image"])
        cases[split].append(entry.stem)
    known = {
        "channel_names": {"0": "DAPI"},
        "labels": {"background": 0, "nucleus": 1},
        "numTraining": len(cases["train"]) + len(cases["val"]),
        "file_ending": ".png",
        "name": facts.NAME,
        "reference": facts.CITATION,
        "licence": facts.DATA_LICENSE,
    }
    _write(target / "dataset.json", known)
    if cases["train"] and cases["val"]:
        _write(target / "splits_final.json", [{key: cases[key] for key in ("train", "val")}])
    return files


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
