"""Every plausible form of an archive: it loads correctly, or fails with the right error.

Each form is written as a real .7z and as an unpacked folder, and read through `Reader`; what was
written is compared with what is read, pixel by pixel.
"""

from __future__ import annotations

import io
import itertools
import stat
import struct
import unicodedata
import warnings
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import py7zr
import pytest
import tifffile
from imagecodecs import png_encode
from PIL import Image
from skimage.measure import label

from bmgd_data import BMGDWarning, CorruptArchiveError, Reader
from bmgd_data._container import members as containers
from common import packs_bits, reads_fax

if TYPE_CHECKING:
    from pathlib import Path

HEIGHT, WIDTH = 24, 20


class Data(NamedTuple):
    """What is written, and must be read."""

    names: list[str]
    images: np.ndarray
    """(N, H, W) uint16, 12-bit."""
    masks: np.ndarray
    """(N, H, W) bool."""
    labels: np.ndarray
    """(N, H, W) uint8; touching nuclei have different numbers."""


def data(names="abc", height=HEIGHT, width=WIDTH, dtype=np.uint16, top=4095) -> Data:
    rng = np.random.default_rng(len(names))
    labels = np.zeros((len(names), height, width), np.uint8)
    for row, image in enumerate(labels):
        image[1:5, 1 : 6 + row] = 1
        image[5:9, 1:6] = 2  # touches the first
        image[12:18, 8:15] = 3
    images = rng.integers(0, top // 4, labels.shape, endpoint=True)
    images += (labels > 0) * (top // 2)
    images[:, 2:4, 2:4] = top
    images = images.astype(dtype)
    return Data(list(names), images, labels > 0, labels)


def tif(array, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def drawn(array, form="png", mode=None, **options) -> bytes:
    buffer = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(buffer, form, **options)
    return buffer.getvalue()


def white(mask) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def palette(mask, form, background=0, ink=(255, 255, 255)) -> bytes:
    picture = Image.fromarray(np.where(mask, 1 - background, background).astype(np.uint8), "L")
    picture = picture.convert("P")
    black = (0, 0, 0)
    picture.putpalette([*black, *ink] if background == 0 else [*ink, *black])
    return drawn(picture, form)


def members(
    what: Data,
    image=tif,
    mask=lambda mask: tif(white(mask)),
    image_at="950 Pa/image/{}.tif",
    mask_at="950 Pa/mask/{}.tif",
) -> dict[str, bytes]:
    images = {image_at.format(n): image(a) for n, a in zip(what.names, what.images, strict=True)}
    masks = {mask_at.format(n): mask(a) for n, a in zip(what.names, what.masks, strict=True)}
    return images | masks


def labelled(what: Data, at="950 Pa/labels/{}.tif") -> dict[str, bytes]:
    return {at.format(n): tif(a) for n, a in zip(what.names, what.labels, strict=True)}


D = data()
EIGHT = data(dtype=np.uint8, top=255)
FULL = data(top=65535)


class Form(NamedTuple):
    """One form of the archive."""

    title: str
    members: dict[str, bytes]
    expected: Data = D
    notes: tuple[str, ...] = ()
    """Parts of the expected notes and doubts, besides those on counts and shape. There are no others."""
    provided: np.ndarray | None = None
    """The instance masks in the archive."""
    full_scale: int = 4095
    notes_unpacked: tuple[str, ...] | None = None
    """The same for the unpacked folder, if it differs: system files are not listed there."""


def _tiff_forms():
    for compression, predictor in itertools.product(
        (None, "lzw", "deflate", "adobe_deflate", "packbits", "zstd", "lzma"), (False, True)
    ):
        if compression or not predictor:
            how = {"compression": compression, "predictor": predictor}
            yield Form(
                f"tiff {compression} predictor={predictor}",
                members(
                    D,
                    lambda a, how=how: tif(a, **how),
                    lambda m, how=how: tif(white(m), **how),
                ),
            )
    for title, how in {
        "tiles": {"tile": (16, 16)},
        "lzw tiles": {"tile": (16, 16), "compression": "lzw", "predictor": True},
        "strips": {"rowsperstrip": 5},
        "lzw strips": {"rowsperstrip": 5, "compression": "lzw", "predictor": True},
        "big-endian": {"byteorder": ">"},
        "big-endian lzw": {"byteorder": ">", "compression": "lzw", "predictor": True},
        "BigTIFF": {"bigtiff": True},
        "ImageJ": {"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}},
        "OME": {"ome": True},
        "no metadata": {"metadata": None},
        **({"packed 12 bits": {"bitspersample": 12}} if packs_bits() else {}),
    }.items():
        mask_how = {k: v for k, v in how.items() if k != "bitspersample"}
        yield Form(
            f"tiff {title}",
            members(
                D,
                lambda a, how=how: tif(a, **how),
                lambda m, how=mask_how: tif(white(m), **how),
            ),
        )
    yield Form(
        "tiff white is zero",
        members(
            FULL,
            lambda a: tif(a, photometric="miniswhite"),
            lambda m: tif(white(m), photometric="miniswhite"),
        ),
        FULL,
        notes=(
            "3 images stored with white as zero",
            "3 masks stored with white as zero",
            "values 0..65535",
        ),
        full_scale=65535,
    )


def _mask_forms():
    fax = {"1-bit group 4": lambda m: drawn(m, "tiff", compression="group4")}
    encodings = {
        **(fax if reads_fax() else {}),
        "0/1": lambda m: tif(m.astype(np.uint8)),
        "0/65535": lambda m: tif(m.astype(np.uint16) * 65535),
        "bool": tif,
        "1-bit": lambda m: drawn(m, "tiff"),
        "int32": lambda m: tif(m.astype(np.int32)),
        "float32": lambda m: tif(white(m).astype(np.float32)),
        "RGB": lambda m: tif(np.dstack([white(m)] * 3), photometric="rgb"),
        "RGB planes": lambda m: tif(
            np.stack([white(m)] * 3), photometric="rgb", planarconfig="separate"
        ),
        "red": lambda m: tif(
            np.dstack([white(m), 0 * m, 0 * m]).astype(np.uint8), photometric="rgb"
        ),
        "RGBA": lambda m: tif(
            np.dstack([white(m)] * 3 + [white(m | True)]), photometric="rgb", extrasamples=[2]
        ),
        "RGBA, background transparent": lambda m: tif(
            np.dstack([white(m)] * 2 + [white(m | True), white(m)]),
            photometric="rgb",
            extrasamples=[2],
        ),
        "palette": lambda m: palette(m, "tiff"),
        "palette, white first": lambda m: palette(m, "tiff", background=1),
    }
    for title, encode in encodings.items():
        yield Form(f"mask {title}", members(D, mask=encode), notes=_colour(title))
    for title, encode in {
        "8-bit": lambda m: drawn(white(m)),
        "1-bit": drawn,
        "RGB": lambda m: drawn(white(m), mode="RGB"),
        "RGBA": lambda m: drawn(white(m), mode="RGBA"),
        "grey and alpha": lambda m: drawn(white(m), mode="LA"),
        "table of two colours": lambda m: palette(m, "png", ink=(255, 0, 0)),
        "palette, white first": lambda m: palette(m, "png", background=1),
        "16-bit": lambda m: drawn(m.astype(np.uint16) * 65535),
    }.items():
        form = members(D, mask=encode, mask_at="950 Pa/mask/{}.png")
        yield Form(f"mask PNG {title}", form, notes=_colour(title))
    yield Form(
        "mask BMP", members(D, mask=lambda m: drawn(white(m), "bmp"), mask_at="950 Pa/mask/{}.bmp")
    )
    yield Form("image PNG", members(D, image=drawn, image_at="950 Pa/image/{}.png"))


def _colour(title):
    coloured = any(word in title for word in ("RGB", "red", "alpha", "palette"))
    return ("3 masks stored as colour",) if coloured else ()


def _path_forms():
    for title, image_at, mask_at in (
        ("suffix _mask", "950 Pa/image/{}.tif", "950 Pa/mask/{}_mask.tif"),
        ("suffix -GT", "950 Pa/image/{}.tif", "950 Pa/mask/{}-GT.tif"),
        ("suffix on both", "950 Pa/image/{}_image.tif", "950 Pa/mask/{}_mask.tif"),
        ("upper case", "950 Pa/IMAGE/{}.TIF", "950 Pa/Mask/{}.TIF"),
        (".tiff", "950 Pa/image/{}.tiff", "950 Pa/mask/{}.tiff"),
        (".tiff and .tif", "950 Pa/image/{}.tiff", "950 Pa/mask/{}.tif"),
        ("plural folders", "950 Pa/images/{}.tif", "950 Pa/masks/{}.tif"),
        ("ground truth", "950 Pa/raw/{}.tif", "950 Pa/Ground Truth/{}.tif"),
        ("a level more", "BMGD/data/950 Pa/image/{}.tif", "BMGD/data/950 Pa/mask/{}.tif"),
        ("a level less", "image/{}.tif", "mask/{}.tif"),
        ("titled folders", "950 Pa image/{}.tif", "950 Pa mask/{}.tif"),
        ("images above", "950 Pa/{}.tif", "950 Pa/mask/{}.tif"),
        ("all in one folder", "950 Pa/{}.tif", "950 Pa/{}_mask.tif"),
        ("masks as labels", "950 Pa/image/{}.tif", "950 Pa/label/{}.tif"),
        ("prefix mask_", "950 Pa/image/{}.tif", "950 Pa/mask/mask_{}.tif"),
        ("ImageJ's prefix", "950 Pa/image/{}.tif", "950 Pa/mask/Mask of {}.tif"),
        ("prefix, all in one folder", "950 Pa/{}.tif", "950 Pa/GT {}.tif"),
    ):
        names = [n + "_image" for n in D.names] if title == "suffix on both" else D.names
        form = members(D, image_at=image_at, mask_at=mask_at)
        yield Form(f"paths: {title}", form, D._replace(names=names))

    colonies = data(["colony1/a", "colony1/b", "colony2/a"])
    yield Form("colonies below", members(colonies), colonies)
    series = data(["Image 1/a", "Image 2/a", "Mask_3/a"])
    yield Form("series below", members(series), series)
    above = {
        f"950 Pa/{colony}/{role}/{name}.tif": blob
        for path, blob in members(colonies).items()
        for role, colony, name in [path[len("950 Pa/") : -len(".tif")].split("/")]
    }
    yield Form("colonies above", above, colonies)

    titles = data(
        sorted(
            [
                "2023.05.01 MCF10A_z01",
                "2023.05.01 MCF10A_z02.ome",
                "a b  c",
                "b.tif",
                "b.v2",
                "größe 3 µm",
                "細胞",
                "x_mask",
            ]
        )
    )
    yield Form("names: dots, spaces, other scripts", members(titles), titles)
    decomposed = {
        unicodedata.normalize("NFD", path): blob for path, blob in members(titles).items()
    }
    yield Form("names: decomposed", decomposed, titles)
    half = {
        unicodedata.normalize("NFD", path) if "mask" in path.split("/")[1] else path: blob
        for path, blob in members(titles).items()
    }
    yield Form("names: masks decomposed", half, titles)


def _extra_forms():
    junk = dict.fromkeys(
        (
            "950 Pa/image/Thumbs.db",
            "950 Pa/.DS_Store",
            "950 Pa/desktop.ini",
            "950 Pa/image/._a.tif",
            "__MACOSX/950 Pa/image/._b.tif",
            "__MACOSX/950 Pa/image/b.tif",
            "950 Pa/read me.txt",
        ),
        b"junk",
    )
    yield Form(
        "junk",
        members(D) | junk,
        notes=("7 other files left out",),
        notes_unpacked=("1 other files left out",),
    )
    empty = {"950 Pa/image/Thumbs.db": b""}
    yield Form(
        "empty junk", members(D) | empty, notes=("1 other files left out",), notes_unpacked=()
    )
    for title, at in {
        "in a third folder": "950 Pa/labels/{}.tif",
        "as labelled masks": "950 Pa/Labelled Masks/{}_label.tif",
        "beside the condition": "950 Pa instances/{}.tif",
    }.items():
        yield Form(f"labels {title}", members(D) | labelled(D, at), provided=D.labels)
    yield Form(
        "labels in the masks",
        members(D) | labelled(D, "950 Pa/mask/{}.tif"),
        provided=D.labels,
    )
    single = D.labels.copy()
    single[1:] = np.where(single[1:] == 3, 9, 0)
    some = D._replace(masks=single > 0, labels=single)
    yield Form(
        "labels in the masks, several nuclei in some images only",
        members(some) | labelled(some, "950 Pa/mask/{}.tif"),
        some,
        provided=np.where(single == 9, 1, single),
    )
    yield Form(
        "labels for some images",
        members(D) | dict(list(labelled(D).items())[:2]),
        notes=("label-files are not used as instances: 1 of 3 images have none",),
    )
    yield Form(
        "binary masks once more as labels",
        members(D)
        | {f"950 Pa/labels/{n}.tif": tif(white(m)) for n, m in zip(D.names, D.masks, strict=True)},
        notes=("label-files are not used as instances: their values",),
    )
    yield Form(
        "damaged labels",
        members(D) | labelled(D) | {"950 Pa/labels/b.tif": b"II*\0"},
        notes=("label-files are not used as instances: 1 are damaged, e.g. 950 Pa/labels/b.tif",),
    )
    yield Form(
        "overlays",
        members(D)
        | {
            f"950 Pa/overlay/{n}.png": drawn(white(m), mode="RGB")
            for n, m in zip(D.names, D.masks, strict=True)
        },
        notes=("3 images in other folders left out: 950 Pa/overlay",),
    )
    lacking = members(data("abcd"))
    first = data("abcd")
    three = Data(list("acd"), *(array[[0, 2, 3]] for array in first[1:]))
    del lacking["950 Pa/mask/b.tif"]
    yield Form(
        "an image without mask",
        lacking,
        three,
        notes=("partners: 1 images without a mask left out, e.g. 950 Pa/image/b.tif",),
    )
    orphan = members(first)
    del orphan["950 Pa/image/b.tif"]
    yield Form(
        "a mask without image",
        orphan,
        three,
        notes=("partners: 1 mask files without an image left out, e.g. 950 Pa/mask/b.tif",),
    )
    unmarked = D._replace(masks=D.masks & np.array([1, 0, 1], bool)[:, None, None])
    nothing_there = unmarked._replace(images=np.where(D.masks == unmarked.masks, D.images, 500))
    says = "1 masks without any nucleus"
    yield Form("an empty mask", members(nothing_there), nothing_there, notes=(says,))
    yield Form(
        "an empty mask on nuclei",
        members(unmarked),
        unmarked,
        notes=(says, "empty: 1 masks mark nothing, though their images seem to show nuclei"),
    )
    for title, row, says in (
        ("inverted masks", slice(None), "3 of 3 masks marked the background"),
        ("one inverted mask", slice(1, 2), "1 of 3 masks marked the background"),
    ):
        masks = D.masks.copy()
        masks[row] = ~masks[row]
        yield Form(title, members(D._replace(masks=masks)), D, notes=(says,))


def _value_forms():
    scale8 = "values 0..255, where the paper has 0..4095"
    yield Form("8-bit", members(EIGHT), EIGHT, notes=(scale8,), full_scale=255)
    yield Form(
        "8-bit with a blue display ramp",
        members(EIGHT, lambda a: tif(a, photometric="palette", colormap=_ramp())),
        EIGHT,
        notes=(scale8,),
        full_scale=255,
    )
    for title, encode, suffix in (
        ("RGB", lambda a: tif(np.dstack([a] * 3), photometric="rgb"), "tif"),
        ("RGBA PNG", lambda a: drawn(a, mode="RGBA"), "png"),
        ("LA PNG", lambda a: drawn(a, mode="LA"), "png"),
    ):
        yield Form(
            f"8-bit grey as {title}",
            members(EIGHT, encode, image_at=f"950 Pa/image/{{}}.{suffix}"),
            EIGHT,
            notes=("3 images stored as colour", scale8),
            full_scale=255,
        )
    yield Form("16-bit", members(FULL), FULL, notes=("values 0..65535",), full_scale=65535)
    yield Form(
        "16-bit grey as RGB",
        members(D, lambda a: tif(np.dstack([a] * 3), photometric="rgb")),
        notes=("3 images stored as colour",),
    )
    for dtype in (np.float32, np.float64, np.int16, np.int32, np.uint32):
        yield Form(
            f"whole {dtype.__name__}",
            members(D, lambda a, dtype=dtype: tif(a.astype(dtype))),
            notes=(f"3 images stored as {dtype.__name__}",),
        )
    small = data(height=128, width=128)
    yield Form("128 x 128", members(small), small)
    full = data(height=256, width=256)
    yield Form("256 x 256", members(full), full)

    mixed = D._replace(images=np.where([[[0]], [[1]], [[0]]], D.images // 16, D.images))
    says = "scales: 1 of 3 images reach up to 255..255"
    for title, dtype in (("in 16", np.uint16), ("in 8", np.uint8)):
        one = tif(mixed.images[1].astype(dtype))
        yield Form(
            f"one rescaled to 8 bits, {title}",
            members(mixed) | {"950 Pa/image/b.tif": one},
            mixed,
            notes=(says,),
        )
    shifted = D._replace(images=np.where([[[0]], [[1]], [[0]]], D.images * 16, D.images))
    says = "scales: 1 of 3 images reach up to 65520..65520"
    yield Form("one shifted to 16 bits", members(shifted), shifted, notes=(says,))
    all_shifted = D._replace(images=D.images * 16)
    says = "values 0..65520"
    yield Form(
        "all shifted to 16 bits", members(all_shifted), all_shifted, notes=(says,), full_scale=65535
    )
    hot = D._replace(images=D.images.copy())
    hot.images[1, 0, :3] = 4500, 65535, 5000
    says = "3 pixels in 1 images exceed 4095, by up to 61440"
    yield Form("hot pixels", members(hot), hot, notes=(says,))
    over = D._replace(images=np.where(D.images == 4095, 4385, D.images))
    says = "pixels in 3 images exceed 4095, by up to 290"
    yield Form("overshoot of resampling", members(over), over, notes=(says,))
    twin = D._replace(images=D.images[[0, 0, 2]], masks=D.masks[[0, 0, 2]])
    says = "duplicates: 1 images appear more than once"
    yield Form("an image twice", members(twin), twin, notes=(says,))


def _ramp() -> np.ndarray:
    ramp = np.zeros((3, 256), np.uint16)
    ramp[2] = np.arange(256) * 257
    return ramp


def _tool_forms():
    """What programs write by default."""
    falling = np.arange(255, -1, -1, dtype=np.uint8).repeat(3).tolist()

    def imagej_png(mask):
        picture = Image.fromarray(white(mask)).convert("P")
        picture.putpalette(falling)
        return drawn(picture)

    def reduced(mask):
        large = np.roll(np.kron(white(mask), np.ones((4, 4))), 1, 0)
        return tif(large.reshape(HEIGHT, 4, WIDTH, 4).mean((1, 3)).astype(np.uint8))

    for title, encode, suffix, note in (
        ("ImageJ's inverting table", imagej_png, "png", "shows them inverted"),
        ("Labkit's 1 and 2", lambda m: tif(m.astype(np.uint8) + 1), "tif", "1 as background"),
        ("-1 as background", lambda m: tif(m.astype(np.int16) - 1), "tif", "-1 as background"),
        ("reduced to a quarter", reduced, "tif", "cut at half the maximum"),
        ("JPEG", lambda m: drawn(white(m), "jpeg", quality=95), "jpg", "cut at half the maximum"),
        (
            "red on blue",
            lambda m: drawn(np.dstack([white(m), 0 * white(m), white(~m)])),
            "png",
            "stored as colour and with the colour (0, 0, 255) as background",
        ),
        ("(H, W, 1)", lambda m: tif(white(m)[..., None]), "tif", None),
        ("PNG named .tif", lambda m: drawn(white(m)), "tif", "in files named .tif which are PNG"),
    ):
        form = members(D, mask=encode, mask_at=f"950 Pa/mask/{{}}.{suffix}")
        yield Form(f"mask of tools: {title}", form, notes=(note,) if note else ())
    blue = np.array([0, 0, 1], np.uint16)
    for title, encode, suffix, note in (
        ("16-bit RGB PNG", lambda a: png_encode(np.dstack([a] * 3)), "png", "stored as colour"),
        ("blue", lambda a: tif(a[..., None] * blue, photometric="rgb"), "tif", "stored as colour"),
        ("fractions", lambda a: tif(a + np.float32(0.3)), "tif", "float32 and rounded"),
        ("(1, H, W)", lambda a: tif(a[None]), "tif", None),
        (
            "bottom up",
            lambda a: tif(a[::-1], extratags=[(274, "H", 1, 4, True)]),
            "tif",
            "turned as their Orientation tag says",
        ),
    ):
        form = members(D, image=encode, image_at=f"950 Pa/image/{{}}.{suffix}")
        yield Form(f"image of tools: {title}", form, notes=(note,) if note else ())
    for title, image_at, mask_at in (
        ("Cellpose", "950 Pa/{}.tif", "950 Pa/{}_cp_masks.tif"),
        ("ilastik", "950 Pa/input/{}.tif", "950 Pa/target/{}_Simple Segmentation.tif"),
        ("Fiji", "950 Pa/image/{}.tif", "950 Pa/mask/{}-1.tif"),
        ("Windows", "950 Pa/image/{}.tif", "950 Pa/mask/{} - Copy.TIF"),
    ):
        yield Form(f"paths of tools: {title}", members(D, image_at=image_at, mask_at=mask_at))
    numbers = data(["1", "2", "3"])
    one_on = members(numbers) | {"950 Pa/mask/0.tif": tif(white(numbers.masks[0]))}
    one_on["950 Pa/mask/1.tif"] = one_on["950 Pa/mask/2.tif"]
    one_on["950 Pa/mask/2.tif"] = one_on.pop("950 Pa/mask/3.tif")
    yield Form("paths: masks from 0 on", one_on, numbers, notes=("numbering: the numbers of",))
    padded = members(numbers, mask_at="950 Pa/mask/00{}.tif")
    yield Form("paths: zeros ahead", padded, numbers, notes=("numbering: zero padding differs",))
    other = {path.replace("950", "1800"): blob for path, blob in members(D).items()}
    yield Form(
        "paths: two stiffnesses",
        members(D) | other,
        notes=("6 images in the folders of 1800Pa left out",),
    )


FORMS = [
    *_tiff_forms(),
    *_mask_forms(),
    *_path_forms(),
    *_extra_forms(),
    *_value_forms(),
    *_tool_forms(),
]


def lay_out(folder: Path, files: dict[str, bytes], *, packed: bool, filters=None) -> Path:
    """Write the files as `950 Pa.7z`, or unpacked, and return the folder to give as source."""
    if packed:
        folder.mkdir(parents=True, exist_ok=True)
        with py7zr.SevenZipFile(folder / "950 Pa.7z", "w", filters=filters) as out:
            for path, blob in files.items():
                out.writestr(blob, path)
    else:
        below = folder if all(path.startswith("950 Pa/") for path in files) else folder / "950 Pa"
        for path, blob in files.items():
            (below / path).parent.mkdir(parents=True, exist_ok=True)
            (below / path).write_bytes(blob)
    return folder


def read(source: Path, instances="components") -> tuple[Reader, list[str]]:
    """Read everything; returns also the notes, without those that every tiny archive has."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        reader = Reader("all", 950, source=source, instances=instances)
    index = reader._parts[0].store.index
    notes = [*index.notes, *index.doubts]
    assert all(issubclass(warning.category, BMGDWarning) for warning in told)
    messages = [str(warning.message) for warning in told]
    for kind, lines in (("with notes", index.notes), ("may be wrong", index.doubts)):
        once = [message for message in messages if kind in message]
        assert len(once) <= 1, "notes are told in one warning, doubts in another"
        assert all(line in once[0] for line in lines if once)
    usual = ("image/mask pairs, where the paper counts 54", "where the paper has 256 x 256")
    return reader, [line for line in notes if not line.endswith(usual)]


def check(source: Path, form: Form) -> None:
    reader, notes = read(source)
    expected = form.expected
    assert reader.names == [f"950Pa/{name}" for name in expected.names]
    np.testing.assert_array_equal(reader.images, expected.images)
    np.testing.assert_array_equal(reader.masks, expected.masks)
    components = [label(mask, connectivity=2) for mask in expected.masks]
    np.testing.assert_array_equal(reader.instances, components)
    assert reader.full_scales == {950: form.full_scale}
    packed = any(source.glob("*.7z"))
    told = form.notes if packed or form.notes_unpacked is None else form.notes_unpacked
    assert len(notes) == len(told), notes
    assert all(any(part in line for line in notes) for part in told), notes
    store = reader._parts[0].store
    assert store.verify() == []
    if form.provided is None:
        assert store.methods() == ["components"]
    else:
        provided, _ = read(source, "provided")
        np.testing.assert_array_equal(provided.instances, form.provided)
        assert provided.n_nuclei.tolist() == form.provided.max((1, 2)).tolist()
    nothing_left(store.path.parent.parent, stores=[store.path.name])


def nothing_left(root: Path, stores=()) -> None:
    found = [path.name for path in (root / "stores").glob("*")]
    assert sorted(found) == sorted(stores)
    assert not [path for path in root.rglob("*") if "partial" in path.name]
    allowed = {"stores", "locks", "sources"}
    assert not root.exists() or {path.name for path in root.iterdir()} <= allowed


@pytest.mark.parametrize("packed", [True, False], ids=["7z", "folder"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.title)
def test_loads_right(form, packed, tmp_path):
    check(lay_out(tmp_path / "source", form.members, packed=packed), form)


X86, DELTA = {"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_DELTA}
LZMA2, LZMA = {"id": py7zr.FILTER_LZMA2, "preset": 6}, {"id": py7zr.FILTER_LZMA, "preset": 6}
PACKINGS = {
    "LZMA2": [LZMA2],
    "LZMA": [LZMA],
    "BZip2": [{"id": py7zr.FILTER_BZIP2}],
    "Deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "Zstandard": [{"id": py7zr.FILTER_ZSTD, "level": 3}],
    "stored": [{"id": py7zr.FILTER_COPY}],
    "BCJ": [X86, LZMA2],
    "BCJ of ARM": [{"id": py7zr.FILTER_ARM}, LZMA],
    "delta": [DELTA, LZMA2],
}


@pytest.mark.parametrize("solid", [True, False], ids=["solid", "not solid"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_packings(packing, solid, tmp_path):
    files, filters = members(D) | {"950 Pa/Thumbs.db": b"x"}, PACKINGS[packing]
    if solid:
        lay_out(tmp_path / "source", files, packed=True, filters=filters)
    else:  # a folder of its own for each file
        for number, (path, blob) in enumerate(files.items()):
            where = tmp_path / "source" / "950 Pa.7z"
            where.parent.mkdir(exist_ok=True)
            with py7zr.SevenZipFile(where, "a" if number else "w", filters=filters) as out:
                out.writestr(blob, path)
    check(tmp_path / "source", Form(packing, files, notes=("1 other files left out",)))


def test_masks_before_images_and_folder_entries(tmp_path):
    files = dict(reversed(members(D).items()))
    lay_out(tmp_path / "unpacked", files, packed=False)
    (tmp_path / "source").mkdir()
    with py7zr.SevenZipFile(tmp_path / "source" / "950 Pa.7z", "w") as out:
        out.writeall(tmp_path / "unpacked" / "950 Pa", "950 Pa")  # writes folder entries too
    check(tmp_path / "source", Form("", files))


def test_every_form_of_one_data_set_has_one_digest(tmp_path):
    forms = [
        form for form in FORMS if form.title.startswith(("tiff", "mask")) and form.expected is D
    ]
    digests = {
        read(lay_out(tmp_path / str(number), form.members, packed=number % 2 == 0))[0].digest
        for number, form in enumerate(forms[:6])
    }
    assert len(digests) == 1


# ------------------------------------------------------------------------------------------ failures


class Fault(NamedTuple):
    """Members that cannot be used, and parts of the message."""

    title: str
    changed: dict[str, bytes]
    says: tuple[str, ...]


def _patched(blob: bytes, **tags: int) -> bytes:
    """Overwrite tags of a TIFF's first page (little-endian) by LONG values."""
    out = bytearray(blob)
    (start,) = struct.unpack_from("<I", out, 4)
    codes = {"width": 256, "height": 257}
    for number in range(*struct.unpack_from("<H", out, start)):
        at = start + 2 + 12 * number
        (code,) = struct.unpack_from("<H", out, at)
        for name, value in tags.items():
            if code == codes[name]:
                struct.pack_into("<HII", out, at + 2, 4, 1, value)
    return bytes(out)


def _absurd_png(array) -> bytes:
    out = bytearray(drawn(array))
    struct.pack_into(">II", out, 16, 50_000, 50_000)
    struct.pack_into(">I", out, 29, zlib.crc32(out[12:29]))
    return bytes(out)


def _faults():
    a, mask_a = "950 Pa/image/a.tif", "950 Pa/mask/a.tif"
    image, mask = D.images[0], D.masks[0]
    for title, path, blob, says in (
        ("undecodable", a, b"II*\0 nonsense", "not decodable"),
        ("undecodable mask", mask_a, b"\x89PNG", "not decodable"),
        ("cut off", a, tif(image)[:400], "not decodable"),
        ("cut off lzw", mask_a, tif(white(mask), compression="lzw")[:-9], "not decodable"),
        ("empty", a, b"", "an empty file"),
        ("html", a, b"<!DOCTYPE html>", "neither TIFF, PNG, BMP nor JPEG; it begins with"),
        ("two pages", a, tif(np.stack([image, image]), metadata=None), "2 pages"),
        ("ImageJ stack", a, tif(np.stack([image] * 3), imagej=True), "3 pages"),
        (
            "stack behind one page",
            a,
            tif(np.stack([image] * 3), imagej=True, truncate=True),
            "a stack of shape",
        ),
        (
            "volume",
            a,
            tif(np.stack([image] * 16), volumetric=True, tile=(16, 16, 16)),
            "one grey plane",
        ),
        (
            "absurd size",
            a,
            _patched(tif(image), width=2**31 - 1, height=2**31 - 1),
            "of absurd size",
        ),
        ("absurd width", a, _patched(tif(image), width=2**31 - 1), "of absurd size"),
        (
            "colour",
            a,
            tif(np.dstack([image, image, image // 2]), photometric="rgb"),
            "a colour image, where a grey one is expected; save the DAPI channel",
        ),
        ("1-bit", a, tif(image > 2000), "a 1-bit image"),
        ("fractions", a, tif(image / np.float32(4095)), "whose scale is unknown; multiply"),
        ("NaN", a, tif(np.where(mask, image, np.float32("nan"))), "no numbers (NaN)"),
        ("huge floats", a, tif(image * np.float32(1e30)), "where 0 to 65535 are expected"),
        ("negative", a, tif(image.astype(np.int16) - 5000), "where 0 to 65535 are expected"),
        ("too large", a, tif(image.astype(np.uint32) + 65536), "where 0 to 65535 are expected"),
        ("complex", a, tif(image.astype(np.complex64)), "of type complex64"),
        (
            "other shape",
            a,
            tif(image[:-1]),
            "shape (23, 20), but its mask 950 Pa/mask/a.tif has (24, 20)",
        ),
        (
            "turned mask",
            mask_a,
            tif(white(mask.T)),
            "950 Pa/image/a.tif: shape (24, 20), but its mask",
        ),
        ("noise for a mask", mask_a, tif(image), "labels without background (0)"),
        ("fractional mask", mask_a, tif(image / np.float32(4095)), "a mask of fractions"),
        ("only transparency", mask_a, drawn(_clear(mask)), "only the transparency varies"),
        (
            "class map",
            mask_a,
            tif(_classes(mask)),
            "neither a binary mask nor instance labels; it has 3 values",
        ),
    ):
        yield Fault(title, {path: blob}, (path, says))
    # Hostile PNG files: the declared size is checked before anything is decoded.
    yield Fault(
        "absurd PNG", {"950 Pa/image/a.png": _absurd_png(image)}, ("a.png", "of absurd size")
    )
    yield Fault(
        "another shape for both",
        {a: tif(image[:-1]), mask_a: tif(white(mask[:-1]))},
        (a, "shape (23, 20), where most images have (24, 20)"),
    )
    yield Fault(
        "several at once",
        {a: b"", "950 Pa/image/b.tif": b"?", "950 Pa/mask/c.tif": tif(mask[1:])},
        ("3 fault(s)", a, "950 Pa/image/b.tif", "950 Pa/mask/c.tif"),
    )
    yield Fault(
        "two images of one name",
        {"950 Pa/image/a.png": drawn(image)},
        (a, "a.png", "files with one name"),
    )
    yield Fault(
        "two masks of one name",
        {"950 Pa/mask/a.png": drawn(white(mask))},
        (mask_a, "a.png", "files with one name"),
    )


def _clear(mask) -> np.ndarray:
    return np.dstack([white(mask | True)] * 3 + [white(mask)])


def _classes(mask) -> np.ndarray:
    """Background, border and inside: two regions of one class, and rings."""
    from scipy.ndimage import binary_erosion

    return mask.astype(np.uint8) + binary_erosion(mask)


FAULTS = list(_faults())


def refused(source: Path, home: Path, *says: str) -> None:
    """Reading fails, the message has these parts and says what to do, and nothing is left behind."""
    with pytest.raises(CorruptArchiveError) as caught:
        Reader("all", 950, source=source)
    message = str(caught.value)
    for part in says:
        assert part in message
    advice = (
        "fetch it again",
        "fix or remove the files named",
        "source=",
        "check where",
        "smaller dictionary",
        "try again",
    )
    assert any(what in message.lower() for what in advice), f"no next step in: {message}"
    nothing_left(home)


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "home"


@pytest.mark.parametrize("packed", [True, False], ids=["7z", "folder"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title)
def test_damaged_members(fault, packed, tmp_path, home):
    files = members(D)
    for path in fault.changed:  # an image or mask of another suffix replaces the .tif
        if "one name" not in fault.title:
            files.pop(f"{path.rpartition('.')[0]}.tif", None)
    source = lay_out(tmp_path / "source", files | fault.changed, packed=packed)
    refused(source, home, *fault.says, "source")


def test_the_whole_class_map_is_no_instance_mask(tmp_path, home):
    files = members(D, mask=lambda m: tif(_classes(m)))
    refused(
        lay_out(tmp_path / "source", files, packed=True),
        home,
        "950 Pa/mask/a.tif, 950 Pa/mask/b.tif, 950 Pa/mask/c.tif: neither",
    )


def test_unicode_twins(tmp_path, home):
    files = members(data(["é", unicodedata.normalize("NFD", "é")]))
    refused(lay_out(tmp_path / "source", files, packed=True), home, "files with one name", *files)


def test_repaired_members_load(tmp_path, home):
    files = members(D)
    source = lay_out(tmp_path / "source", files | {"950 Pa/mask/a.tif": b""}, packed=False)
    refused(source, home, "950 Pa/mask/a.tif")
    (source / "950 Pa/mask/a.tif").write_bytes(files["950 Pa/mask/a.tif"])
    check(source, Form("mended", files))


@pytest.mark.parametrize("loops", [1, 2])
def test_looping_pages_end(loops, tmp_path, home):
    """The last page names the first as the next one: one page is read, several are refused."""
    files = members(D)
    blob = bytearray(tif(np.stack([D.images[0]] * loops), metadata=None))
    with tifffile.TiffFile(io.BytesIO(blob)) as tiff:
        first, last = tiff.pages[0].offset, tiff.pages[-1].offset
    (tags,) = struct.unpack_from("<H", blob, last)
    struct.pack_into("<I", blob, last + 2 + 12 * tags, first)
    files["950 Pa/image/a.tif"] = bytes(blob)
    source = lay_out(tmp_path / "source", files, packed=True)
    if loops == 1:
        check(source, Form("loop", files))
    else:
        refused(source, home, "950 Pa/image/a.tif", "2 pages")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"950 Pa/read me.txt": b"no"},
            "found 950 Pa (1 files, e.g. read me.txt). Files that end in .txt are not",
        ),
        ({"950 Pa/image/a.tif": tif(D.images[0])}, "found 950 Pa/image (1 files, e.g. a.tif)"),
        ({"950 Pa/b.tif": tif(D.images[0])}, "found 950 Pa (1 files, e.g. b.tif)"),
        (
            {"950 Pa/image/a.tif": tif(D.images[0]), "950 Pa/mask/b.tif": tif(D.images[0])},
            "950 Pa/image (1 files, e.g. a.tif), 950 Pa/mask (1 files, e.g. b.tif)",
        ),
    ],
    ids=["no images", "no masks", "no folders", "no common name"],
)
@pytest.mark.parametrize("packed", [True, False], ids=["7z", "folder"])
def test_no_pairs(files, says, packed, tmp_path, home):
    refused(
        lay_out(tmp_path / "source", files, packed=packed),
        home,
        "no image/mask pairs found; expected an 'image' and a 'mask' folder",
        says,
    )


# ------------------------------------------------------------------------- damage of the whole file


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"<?xml version='1.0'?>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a git-LFS pointer"),
        (b"PK\x03\x04", "is damaged (BadZipFile"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is cut off after 8 bytes"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(26), "damaged start header"),
    ],
    ids=["empty", "html", "xml", "lfs", "zip", "eight bytes", "zeros"],
)
def test_no_archive(content, says, tmp_path, home):
    source = tmp_path / "source"
    source.mkdir()
    (source / "950 Pa.7z").write_bytes(content)
    refused(source, home, str(source / "950 Pa.7z"), says)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated(share, tmp_path, home):
    source = lay_out(tmp_path / "source", members(D), packed=True)
    path = source / "950 Pa.7z"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(source, home, f"{path} is cut off: {path.stat().st_size} of {len(whole)} bytes")


@pytest.mark.parametrize(("packing", "good"), [("LZMA2", 3), ("stored", 3), ("BZip2", 0)])
def test_flipped_bit_in_a_solid_archive(packing, good, tmp_path, home):
    """Everything before the bad bit is good; BZip2 checks a block, here all, at once."""
    noise = data("abcdef", height=64, width=64, top=65535)
    files = members(noise)
    source = lay_out(tmp_path / "source", files, packed=True, filters=PACKINGS[packing])
    path = source / "950 Pa.7z"
    blob = bytearray(path.read_bytes())
    blob[32 + int(3.5 * len(files["950 Pa/image/a.tif"]))] ^= 1
    path.write_bytes(blob)
    bad = list(files)[good]
    refused(source, home, f"{path} is damaged at {bad!r}, after {good} good files of 12")


def test_flipped_bit_in_the_header(tmp_path, home):
    source = lay_out(tmp_path / "source", members(D), packed=True)
    path = source / "950 Pa.7z"
    blob = bytearray(path.read_bytes())
    blob[-5] ^= 1
    path.write_bytes(blob)
    refused(source, home, f"{path} cannot be read")


def _file(number, **properties):
    return lambda out: out.header.files_info.files[number].update(properties)


def _coder(**properties):
    return lambda out: out.header.main_streams.unpackinfo.folders[0].coders[0].update(properties)


def _size(number, size):
    return lambda out: out.header.main_streams.substreamsinfo.unpacksizes.__setitem__(number, size)


UNIX = 0x8000
HOSTILE = {
    "absolute path": (_file(2, filename="/etc/passwd"), "'/etc/passwd' has an absolute path"),
    "drive letter": (_file(2, filename="C:/a.tif"), "'C:/a.tif' has an absolute path"),
    "share": (_file(2, filename="\\\\host\\a.tif"), "has an absolute path"),
    "upwards": (_file(2, filename="950 Pa/../../a.tif"), "'950 Pa/../../a.tif' leads upwards"),
    "upwards, backslash": (_file(2, filename="..\\a.tif"), "leads upwards"),
    "control character": (_file(2, filename="950 Pa/image/\x1b[2J.tif"), "control characters"),
    "reversed text": (_file(2, filename="950 Pa/image/\u202efit.exe"), "control characters"),
    "link": (_file(2, attributes=UNIX | (stat.S_IFLNK | 0o777) << 16), "c.tif' is a link"),
    "socket": (
        _file(2, attributes=UNIX | (stat.S_IFSOCK | 0o777) << 16),
        "c.tif' is a link or a socket",
    ),
    "junction": (_file(2, attributes=0x410), "c.tif' is a link"),
    "duplicate": (_file(2, filename="950 Pa/image/a.tif"), "'950 Pa/image/a.tif' appears twice"),
    "duplicate, other slashes": (_file(2, filename="950 Pa//image/a.tif"), "appears twice"),
    "absurd size": (_size(2, 2**40), "c.tif' declares 1099511627776 bytes"),
    "size of what is not there": (_size(0, 10**6), "declares -"),
    "dictionary": (_coder(properties=b"\x26"), "2,147,483,648 bytes of dictionary, where at"),
    "unknown method": (
        _coder(method=b"\x7f\x7f", properties=None),
        "in a way that is not read here, with a method that is unknown here",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives(case, tmp_path, home):
    tamper, says = HOSTILE[case]
    path = tmp_path / "source" / "950 Pa.7z"
    path.parent.mkdir()
    with py7zr.SevenZipFile(path, "w", filters=[LZMA2]) as out:
        for name, blob in members(D).items():
            out.writestr(blob, name)
        tamper(out)
    refused(path.parent, home, str(path), says)
    assert sorted(tmp_path.rglob("*.tif")) == []


@pytest.mark.parametrize(
    ("filters", "properties"),
    [
        (PACKINGS["LZMA"], b"\x5d" + (2**31).to_bytes(4, "little")),
        (PACKINGS["BCJ"], b"\x26"),
    ],
    ids=["LZMA", "BCJ before LZMA2"],
)
def test_dictionary_of_every_method_is_bounded(filters, properties, tmp_path, home):
    path = tmp_path / "source" / "950 Pa.7z"
    path.parent.mkdir()
    with py7zr.SevenZipFile(path, "w", filters=filters) as out:
        out.writestr(b"x" * 99, "950 Pa/image/a.tif")
        _coder(properties=properties)(out)
    refused(path.parent, home, str(path), "2,147,483,648 bytes of dictionary")


@pytest.mark.parametrize("header", [True, False], ids=["names too", "contents"])
def test_encrypted(header, tmp_path, home):
    path = tmp_path / "source" / "950 Pa.7z"
    path.parent.mkdir()
    with py7zr.SevenZipFile(path, "w", password="secret", header_encryption=header) as out:  # noqa: S106
        out.writestr(b"x" * 99, "950 Pa/image/a.tif")
    refused(path.parent, home, f"{path} is encrypted")


def test_too_many_members(tmp_path, home, monkeypatch):
    assert containers.MAX_MEMBERS == 100_000
    monkeypatch.setattr(containers, "MAX_MEMBERS", 5)
    source = lay_out(tmp_path / "source", members(D), packed=True)
    refused(source, home, "950 Pa.7z", "6 members, where at most 5 are read")
