"""ImageJ in batch mode: what a macro sees of the TIFF of the folders export."""

import subprocess
import sys

from truth import BASE, names, samples, tell

MACRO = """
setBatchMode(true);
print("version", getVersion());
files = split(getArgument(), "|");
for (i = 0; i < files.length; i++) {
  open(files[i]);
  getPixelSize(unit, width, height);
  getRawStatistics(count, mean, least, most);
  print(getTitle(), bitDepth(), unit, width, height, count, d2s(mean, 6), least, most,
        lengthOf(getMetadata("Info")));
  close();
}
"""
JAR = "/usr/share/java/ij.jar"

truth, known = samples(), names("folders")
files = [file for file in known if file.startswith("test/")]
paths = [str(BASE / "folders" / file) for file in files]
paths += [path.replace("/images/", "/masks/") for path in paths]
(BASE / "macro.ijm").write_text(MACRO)
command = ["java", "-jar", JAR, "-batch", str(BASE / "macro.ijm")]
done = subprocess.run(
    [*command, "|".join(paths)], check=True, capture_output=True, text=True, timeout=120
)
lines = [line.split() for line in done.stdout.splitlines() if ".tif" in line]
if len(lines) != len(paths):
    sys.exit(
        f"ImageJ told of {len(lines)} files instead of {len(paths)}: {done.stdout} {done.stderr}"
    )
arrays = [truth[f"{known[file]}/{kind}"] for kind in ("image", "instances") for file in files]
for line, array in zip(lines, arrays, strict=True):
    _, bits, unit, width, height, count, mean, least, most, noted = line
    seen = (int(bits), float(width), float(height), int(float(count)), float(least), float(most))
    if seen != (16, 0.25, 0.25, array.size, array.min(), array.max()):
        sys.exit(f"ImageJ sees {line}, where the values run from {array.min()} to {array.max()}")
    if abs(float(mean) - array.mean()) > 1e-4 or not unit.endswith("m") or noted == "0":
        sys.exit(f"ImageJ sees {line}, where the mean is {array.mean()}")
(version,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("version")]
tell(version, f"{len(paths)} files: bits, range, mean, 0.25 {unit} a pixel, Info")
