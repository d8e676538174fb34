"""ImageJ's ROI Manager: areas of the ROIs, and the labels that it draws from them."""

import csv
import subprocess
import sys

import numpy as np
import tifffile
from truth import BASE, names, require_same, samples, tell

MACRO = """
setBatchMode(true);
print("version", getVersion());
base = getArgument();
files = split(File.openAsString(base + "files.txt"), "\\n");
for (f = 0; f < files.length; f++) {
  open(base + "rois/images/" + files[f] + ".tif");
  getDimensions(width, height, channels, slices, frames);
  image = getImageID();
  newImage("labels", "16-bit black", width, height, 1);
  labels = getImageID();
  roiManager("reset");
  if (File.exists(base + "rois/rois/" + files[f] + ".zip"))
    roiManager("open", base + "rois/rois/" + files[f] + ".zip");
  for (i = 0; i < roiManager("count"); i++) {
    selectImage(image);
    roiManager("select", i);
    getStatistics(area);
    print("roi", files[f], Roi.getName, d2s(area, 4));
    selectImage(labels);
    roiManager("select", i);
    run("Set...", "value=" + parseInt(Roi.getName));
  }
  selectImage(labels);
  run("Select None");
  saveAs("Tiff", base + "redrawn/" + files[f] + ".tif");
  close("*");
}
"""
JAR = "/usr/share/java/ij.jar"

truth, known = samples(), names("rois")
stems = {file.removeprefix("images/").removesuffix(".tif"): name for file, name in known.items()}
(BASE / "redrawn").mkdir()
(BASE / "files.txt").write_text("\n".join(stems))
(BASE / "rois.ijm").write_text(MACRO)
command = ["java", "-jar", JAR, "-batch", str(BASE / "rois.ijm"), f"{BASE}/"]
done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
lines = [line.split() for line in done.stdout.splitlines()]
measured = {
    (stems[file], int(roi)): float(area)
    for _, file, roi, area in (line for line in lines if line[:1] == ["roi"])
}
for stem, name in stems.items():
    redrawn = tifffile.imread(BASE / "redrawn" / f"{stem}.tif")
    require_same(redrawn, truth[f"{name}/instances"], f"{name}, drawn by ImageJ,")
with (BASE / "rois" / "nuclei.csv").open(encoding="utf-8", newline="") as table:
    areas = {
        (row["name"], int(row["label"])): float(row["area_um2"]) for row in csv.DictReader(table)
    }
if measured.keys() != areas.keys() or not np.allclose(
    [measured[nucleus] for nucleus in areas], list(areas.values()), atol=1e-3
):
    sys.exit(f"ImageJ measures {len(measured)} areas, which differ from {len(areas)} of nuclei.csv")
(version,) = [line[1] for line in lines if line[:1] == ["version"]]
tell(version, f"{len(stems)} images, {len(areas)} ROIs: labels drawn from them and areas equal")
