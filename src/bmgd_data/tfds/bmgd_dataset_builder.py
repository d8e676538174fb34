"""BMGD as a TFDS data set: it writes what the Reader reads, and notes which data that is."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.splits import AbstractSplit

from bmgd_data import facts, splits
from bmgd_data import instances as instance_methods
from bmgd_data._arguments import documented
from bmgd_data._origin import sources
from bmgd_data._system import disk, home, locks
from bmgd_data._system.image_files import encode_png
from bmgd_data.errors import DatasetNotFoundError, StorageError
from bmgd_data.reader import Reader
from bmgd_data.tfds.info import Info, features

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL: Final = "all"
_CONFIGS: Final = {
    ALL: f"all four stiffnesses: {facts.IMAGES} images in the paper",
    **{c.name: f"substrate of {c.pa} Pa: {c.images} images in the paper" for c in facts.CONDITIONS},
}


@documented
class Builder(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """BMGD for TFDS: configs "all", "250Pa", "950Pa", "1200Pa", "1800Pa".

    Args:
        {root}
        {source}
        {download}
        {scheme}
        {instances}
        config: One of the above, or a stiffness in another spelling.
        data_dir: Folder of the records. None is TFDS's own folder for upstream's data, split at
            random, with components, as tfrecord. TFDS tells records apart by name, config and
            version alone, so everything else gets its own folder below `root`. Records in a folder
            that you name must be what is asked for. (TFDS's own read-only builder, which serves
            ``tfds.load`` without this package's import or with a version in the name, does not
            compare; ``info.metadata`` says what it holds.)
        version: Of the records.
        file_format: "tfrecord" (None) or "array_record".

    Raises:
        ChecksumError: The records in `data_dir` were written from other data, or with other
            instances, than what is asked for.
        CorruptArchiveError: The records in `data_dir` are not whole.
        BMGDError: See ``Reader``.
        ValueError: An argument is not valid; the message lists the valid ones.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "First version; split at random, 80:10:10.",
        "1.1.0": "The same records; they can be read without bmgd_data.",
    }
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=name, description=text) for name, text in _CONFIGS.items()
    ]
    DEFAULT_BUILDER_CONFIG_NAME = ALL

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] | None = None,
        download: bool = True,
        scheme: str = "random",
        instances: str = "components",
        config: str | int | tfds.core.BuilderConfig | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        version: str | tfds.core.Version | None = None,
        file_format: str | tfds.core.FileFormat | None = None,
    ) -> None:
        self.root = home.root(root)
        self.source = sources.resolve(source, self.root)
        self.download = download
        self.scheme = splits.parse_scheme(scheme)
        self.instance_method = instance_methods.parse_method(instances)
        if isinstance(config, str | int):
            config = _config_name(config)
        super().__init__(
            data_dir=data_dir or self._folder_apart(file_format),
            config=config,
            version=version,
            file_format=file_format,
        )
        # A copy in another process is made from these, and not from its environment.
        self._original_state |= {
            "source": self.source.location,
            "root": self.root,
            "download": self.download,
            "scheme": self.scheme,
            "instances": self.instance_method,
            "data_dir": os.fspath(self.data_dir_root),
            "file_format": self.info.file_format,
        }
        if self.data_path.exists():
            self.info.require_whole()
            self.info.require_same(self._wanted(), self.source.label)

    def download_and_prepare(
        self, *, download_config: tfds.download.DownloadConfig | None = None, **options: Any
    ) -> None:
        """Write the records, unless they exist. TFDS's bucket is not asked: it does not have BMGD.

        Args:
            download_config: As in TFDS. With ``max_examples_per_split=n`` the records go to the
                folder ``first-<n>`` below `data_dir`, which loading all of them does not read;
                ``split="train[:2]"`` works on all records.
            options: As in TFDS.

        Raises:
            StorageError: The folder cannot be written.
            BMGDError: See ``Reader``.
        """
        given = download_config or tfds.download.DownloadConfig()
        self._use_folder(given.max_examples_per_split)
        with self._alone():
            if not self.data_path.exists() or given.download_mode.overwrite_dataset:
                self.info.fit(self._reader(), given.max_examples_per_split)
            elif not self.info.splits:  # another process has written them since this was made
                self.info.read_from_directory(self.data_dir)
            with disk.explained(Path(self.data_dir), "data_dir=, or `bmgd tfds --data-dir`"):
                super().download_and_prepare(
                    download_config=dataclasses.replace(given, try_download_gcs=False), **options
                )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time writes the records of a folder; the others wait and find them."""
        if self.data_path.exists():
            yield
            return
        name = f"tfds-{disk.sha256_of(os.path.abspath(self.data_dir))[:16]}"  # noqa: PTH100
        with contextlib.ExitStack() as held:
            with contextlib.suppress(StorageError):  # a root for reading only: without a lock
                held.enter_context(locks.lock(self.root, name))
            yield

    def is_prepared(self) -> bool:
        """Whether the records exist. TFDS's own method warns of each folder that is missing."""
        return self.data_path.exists() and bool(super().is_prepared())

    def as_dataset(self, split: Any = None, **options: Any) -> Any:
        """As in TFDS; "val" is another name of "validation"."""
        return super().as_dataset(split=_theirs(split), **options)

    def as_data_source(self, split: Any = None, **options: Any) -> Any:
        """As in TFDS; "val" is another name of "validation"."""
        return super().as_data_source(split=_theirs(split), **options)

    # ------------------------------------------------------------------------ what TFDS calls

    def _info(self) -> Info:
        about = self.get_metadata()
        source = self.source.label_for_others
        origin = f"Read from {source}, not from upstream, which is described here:\n\n"
        return Info(
            builder=self,
            description=origin * (self.source.kind != "upstream") + about.description,
            features=features(),
            supervised_keys=("image", "mask"),
            homepage=facts.REPOSITORY,
            citation=about.citation,
            license=facts.DATA_LICENSE,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, _manager: tfds.download.DownloadManager) -> dict[str, Any]:
        readers = {split: self._reader(split) for split in ("train", "validation", "test")}
        # TFDS cannot write an empty split, which a few own images may give.
        return {
            split: self._generate_examples(reader) for split, reader in readers.items() if reader
        }

    def _generate_examples(self, reader: Reader) -> Iterator[tuple[str, dict[str, Any]]]:
        for sample in reader:
            yield (
                sample["name"],
                {
                    **sample,
                    "image": encode_png(sample["image"]),
                    "mask": encode_png(sample["mask"].view(np.uint8)),
                    "instances": encode_png(sample["instances"]),
                    "stiffness": f"{sample['stiffness_pa']}Pa",
                },
            )

    # ------------------------------------------------------------------------------- helpers

    def _reader(
        self, split: str = "all", *, instances: str | None = None, download: bool = True
    ) -> Reader:
        config = self.builder_config.name
        return Reader(
            split,
            None if config == ALL else config,
            root=self.root,
            source=self.source.location,
            download=download and self.download,
            scheme=self.scheme,
            instances=instances or self.instance_method,
        )

    def _use_folder(self, limit: int | None) -> None:
        """Use the records of all samples, or of the first `limit` of each split."""
        first = "" if limit is None else f"first-{limit}"
        root, folder = self._build_data_dir(str(Path(self._original_state["data_dir"], first)))
        if folder != self.data_dir:
            self._data_dir_root, self._data_dir = root, folder
            self.info.move(folder)

    def _wanted(self) -> dict[str, Any]:
        """What the records must agree with; equal digests mean equal data from any source."""
        method = self.instance_method
        wanted = {
            "scheme": self.scheme,
            "instance_method": method,
            "instance_version": instance_methods.VERSIONS.get(method, 1),
        }
        try:
            # The digest covers provided labels; others need not be computed for it.
            given = "provided" if method == "provided" else "components"
            wanted["digest"] = self._reader(instances=given, download=False).digest
        except DatasetNotFoundError:
            wanted["source"] = self.source.label_for_others
        return wanted

    def _folder_apart(self, file_format: str | tfds.core.FileFormat | None) -> Path | None:
        form = tfds.core.FileFormat.from_value(file_format or "tfrecord").value
        chosen = (self.source.kind, self.scheme, self.instance_method, form)
        if chosen == ("upstream", "random", "components", "tfrecord"):
            return None
        scheme = "" if self.scheme == "random" else f"-{self.scheme}"
        name = f"{self.source.slug}{scheme}-{self.instance_method}-{form}"
        return home.records(self.root, name)


def _theirs(split: Any) -> Any:
    """A split, or several, with TFDS's "validation" for "val"."""
    if isinstance(split, Mapping):
        return {key: _theirs(one) for key, one in split.items()}
    if isinstance(split, list | tuple):
        return type(split)(map(_theirs, split))
    if isinstance(split, AbstractSplit):
        return _WithVal(split)
    return re.sub(r"\bval\b", "validation", split) if isinstance(split, str) else split


class _WithVal(AbstractSplit):  # type: ignore[misc]
    """What ``tfds.even_splits`` or ``tfds.core.ReadInstruction`` make, which may name "val"."""

    def __init__(self, split: AbstractSplit) -> None:
        self.split = split

    def to_absolute(self, split_infos: Any) -> list[Any]:
        found = self.split.to_absolute(_Infos(split_infos))
        return [dataclasses.replace(each, splitname=_theirs(each.splitname)) for each in found]


class _Infos(dict[str, Any]):
    """Splits by name, in which "val" is found and not listed."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(_theirs(name))

    def __missing__(self, name: str) -> Any:
        if name == "val":
            return self["validation"]
        raise KeyError(name)


def _config_name(config: str | int) -> str:
    try:
        return ALL if config == ALL else facts.parse_stiffness(config)[0].name
    except ValueError as error:
        raise ValueError(
            f"Unknown config {config!r}. Valid: {', '.join(map(repr, _CONFIGS))}."
        ) from error
