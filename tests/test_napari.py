"""The manifest that napari reads, and the layers behind it; tests/clients opens them in napari."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import bmgd_data
from bmgd_data import Reader, napari
from common import TINY

ROOT = Path(__file__).parents[1]
MANIFEST = Path(bmgd_data.__file__).parent / "napari.yaml"


def test_the_entry_point_names_the_manifest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    target = project["entry-points"]["napari.manifest"][project["name"]]
    module, _, file = target.partition(":")
    assert (module, file) == ("bmgd_data", MANIFEST.name)


@pytest.mark.skipif(not importlib.util.find_spec("npe2"), reason="npe2 is not installed")
def test_the_manifest_is_valid_and_its_functions_exist():
    """In another process: npe2 warns about itself when it is imported."""
    code = (
        "from npe2 import PluginManifest\n"
        f"manifest = PluginManifest.from_file({str(MANIFEST)!r})\n"
        "manifest.validate_imports()\n"
        "print(manifest.name, *[each.key for each in manifest.contributions.sample_data])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["bmgd-data", "bmgd", "phantom"], ran.stderr


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_layers_show_the_images_and_nuclei_of_the_reader(tiny_root, monkeypatch, given):
    monkeypatch.setenv("BMGD_HOME", str(tiny_root))
    monkeypatch.setenv("BMGD_SOURCE", TINY)
    layers = napari.bmgd() if given == "environment" else napari.sample(TINY)
    assert [kind for _, _, kind in layers] == ["image", "labels"] * 4
    assert [options["visible"] for _, options, _ in layers] == [False] * 6 + [True] * 2
    for (image, options, _), (labels, labelled, _) in zip(layers[::2], layers[1::2], strict=True):
        reader = Reader("all", options["name"].split(" ")[0], instances="watershed")
        np.testing.assert_array_equal(image, reader.images)
        np.testing.assert_array_equal(labels, reader.instances)
        assert options["metadata"]["names"] == reader.names
        assert options["name"].endswith(" Pa, generated")
        assert options["contrast_limits"] == (0, 4095)
        assert options["scale"] == labelled["scale"] == (1, 0.25, 0.25)


def test_generated_images_are_labelled_as_generated(monkeypatch):
    sources = []
    monkeypatch.setattr(napari, "sample", sources.append)
    napari.phantom()
    napari.bmgd()
    assert sources == ["phantom", None]
