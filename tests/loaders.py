"""Which samples loaders serve: the last batch, ranks, workers, seeds; prints the table of docs/surprises.md.

    python tests/loaders.py

It loads the numbers 0 to 70 in batches of 8, shows the libraries that this environment has, and needs no
package of ours. test_loaders.py compares the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNT, BATCH, RANKS = 71, 8, 3

# ----------------------------------------------------------------------------------- what is told of them


def sizes(batches: Iterable[Any]) -> str:
    """Such as "8 of 8, 1 of 7"."""
    found = Counter(len(batch) for batch in batches)
    return ", ".join(f"{n} of {size}" for size, n in sorted(found.items(), reverse=True))


def tally(ranks: Iterable[Iterable[Any]]) -> str:
    """Such as "24, 24, 24: 1 twice", of the samples of each rank."""
    each = [[int(sample) for sample in rank] for rank in ranks]
    times = Counter(sample for rank in each for sample in rank)
    words = {0: "left out", 2: "twice"}
    odd = Counter(times[sample] for sample in range(COUNT) if times[sample] != 1)
    told = ", ".join(f"{n} {words.get(k, f'{k} times')}" for k, n in sorted(odd.items()))
    return f"{', '.join(str(len(rank)) for rank in each)}: {told or 'each once'}"


def flat(batches: Iterable[Any]) -> list[int]:
    return [int(sample) for batch in batches for sample in batch]


def alike(one: list[Any], other: list[Any]) -> str:
    return "the same order" if one == other else "another order"


# --------------------------------------------------------------------------------------------- PyTorch


def torch_workers(workers: int) -> str:
    from torch.utils.data import DataLoader

    return sizes(DataLoader(range(COUNT), BATCH, num_workers=workers))


def torch_iterable() -> str:
    from torch.utils.data import DataLoader, IterableDataset

    class Numbers(IterableDataset):
        def __iter__(self):
            return iter(range(COUNT))

    return tally([flat(DataLoader(Numbers(), BATCH, num_workers=2))])


def torch_ranks(*, drop_last: bool) -> str:
    from torch.utils.data.distributed import DistributedSampler

    sampler = partial(DistributedSampler, range(COUNT), RANKS, drop_last=drop_last, shuffle=False)
    return tally(sampler(rank=rank) for rank in range(RANKS))


def torch_epochs() -> str:
    from torch.utils.data.distributed import DistributedSampler

    sampler = DistributedSampler(range(COUNT), RANKS, 0)
    return alike(list(sampler), list(sampler))


class Drawing:
    """Samples that are drawn; the generator is held as augmentations hold theirs."""

    def __init__(self, kind: str) -> None:
        self.kind, self.held = kind, np.random.default_rng(0)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> float:
        import torch

        draw = {
            "held": self.held.random,
            "numpy": np.random.random,
            "python": random.random,
            "torch": lambda: torch.rand(()),
        }
        return float(draw[self.kind]())


def torch_drawn(kind: str, *, persistent: bool = False) -> str:
    from torch.utils.data import DataLoader

    loader = DataLoader(Drawing(kind), None, num_workers=2, persistent_workers=persistent)
    drawn = [float(sample) for _ in range(2) for sample in loader]
    return f"{len(set(drawn))} different of {len(drawn)}"


# ---------------------------------------------------------------------------------- above PyTorch


def lightning_ranks(stage: str) -> str:
    """The numbers that three processes are given."""
    with tempfile.TemporaryDirectory() as folder:
        import lightning

        os.environ |= {"MASTER_ADDR": "127.0.0.1"}
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=RANKS,
            strategy="ddp_spawn",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        from torch.utils.data import DataLoader

        getattr(trainer, stage)(_noting()(folder), DataLoader(range(COUNT), BATCH))
        texts = [path.read_text().split() for path in sorted(Path(folder).iterdir())]
    return tally(texts)


def _noting() -> type:
    from loaders_lightning import Noting

    return Noting


def accelerate_ranks(*, even: bool) -> str:
    from accelerate import PartialState
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader

    PartialState(cpu=True)
    made = (
        prepare_data_loader(
            DataLoader(range(COUNT), BATCH),
            num_processes=RANKS,
            process_index=rank,
            even_batches=even,
            put_on_device=False,
        )
        for rank in range(RANKS)
    )
    return tally(map(flat, made))


def accelerate_gathered(*, text: bool) -> str:
    """What gather_for_metrics gives to each of three processes."""
    from accelerate import Accelerator, debug_launcher
    from accelerate.state import AcceleratorState
    from torch.utils.data import DataLoader

    with tempfile.TemporaryDirectory() as folder:

        def each() -> None:
            AcceleratorState._reset_state(reset_partial_state=True)  # of rows above
            accelerator = Accelerator(cpu=True)
            assert accelerator.num_processes == RANKS
            gather, seen = accelerator.gather_for_metrics, []
            for batch in accelerator.prepare(DataLoader(range(COUNT), BATCH)):
                told = {"name": [str(int(sample)) for sample in batch], "x": batch}
                made = gather(told) if text else gather(batch).tolist()
                seen += made if isinstance(made, list) else ["a dict"]
            if accelerator.is_main_process:
                Path(folder, "seen").write_text(" ".join(map(str, seen)))

        debug_launcher(each, num_processes=RANKS)
        seen = Path(folder, "seen").read_text().split()
    return f"a list of {', '.join(dict.fromkeys(seen))}" if text else tally([seen])


def stateful(workers: int) -> str:
    import torch
    from torchdata.stateful_dataloader import StatefulDataLoader

    def loader() -> Any:
        generator = torch.Generator().manual_seed(0)
        return StatefulDataLoader(
            range(COUNT), BATCH, shuffle=True, num_workers=workers, generator=generator
        )

    first = loader()
    batches = iter(first)
    for _ in range(3):
        next(batches)
    state = first.state_dict()
    rest = flat(batches)
    again = loader()
    again.load_state_dict(state)
    resumed = flat(again)
    return (
        f"the rest, in {alike(rest, resumed)}; the next pass in {alike(flat(first), flat(again))}"
    )


# ------------------------------------------------------------------------------------------ Grain


def grain_workers(workers: int, *, drop: bool = False, epochs: int = 1) -> str:
    import grain

    return sizes(_grain(grain, workers, drop=drop, epochs=epochs))


def grain_epochs() -> str:
    import grain

    seen = flat(_grain(grain, 0, epochs=2))
    return alike(seen[:COUNT], seen[COUNT:])


def _grain(grain: Any, workers: int, *, drop: bool = False, epochs: int = 1) -> list[Any]:
    from absl import flags

    flags.FLAGS.mark_as_parsed()  # beside JAX
    sampler = grain.samplers.IndexSampler(COUNT, shuffle=True, seed=1, num_epochs=epochs)
    return list(
        grain.DataLoader(
            data_source=range(COUNT),
            sampler=sampler,
            operations=[grain.transforms.Batch(BATCH, drop_remainder=drop)],
            worker_count=workers,
        )
    )


def grain_ranks(*, drop: bool) -> str:
    import grain

    def rank(number: int) -> list[int]:
        shard = grain.sharding.ShardOptions(number, RANKS, drop_remainder=drop)
        sampler = grain.samplers.IndexSampler(COUNT, shard, shuffle=True, seed=1, num_epochs=1)
        return list(grain.DataLoader(data_source=range(COUNT), sampler=sampler, worker_count=0))

    return tally(map(rank, range(RANKS)))


def grain_shard_epochs() -> str:
    import grain

    shard = grain.sharding.ShardOptions(0, RANKS, drop_remainder=True)
    sampler = grain.samplers.IndexSampler(COUNT, shard, shuffle=True, seed=1, num_epochs=2)
    seen = list(grain.DataLoader(data_source=range(COUNT), sampler=sampler, worker_count=0))
    one, other = (set(seen[: len(seen) // 2]), set(seen[len(seen) // 2 :]))
    return "the same numbers" if one == other else "other numbers"


def grain_slices() -> str:
    import grain

    return tally(
        grain.MapDataset.range(COUNT).shuffle(seed=1)[rank::RANKS] for rank in range(RANKS)
    )


# -------------------------------------------------------------------------------------- TensorFlow


def tfdata_ranks() -> str:
    import tensorflow as tf

    data = tf.data.Dataset.range(COUNT)
    return tally(data.shard(RANKS, rank).as_numpy_iterator() for rank in range(RANKS))


def tfdata_seed() -> str:
    import tensorflow as tf

    def order() -> list[int]:
        return list(tf.data.Dataset.range(COUNT).shuffle(COUNT, seed=1).as_numpy_iterator())

    tf.random.set_seed(1)
    first = order()
    tf.random.set_seed(2)
    return alike(first, order())


def tfds_ranks(*, drop: bool) -> str:
    import tensorflow_datasets as tfds

    with _numbers() as builder:
        splits = tfds.even_splits("train", RANKS, drop_remainder=drop)
        made = [builder.as_dataset(split=split) for split in splits]
        return tally([sample["number"] for sample in tfds.as_numpy(each)] for each in made)


def tfds_shuffled() -> str:
    import tensorflow_datasets as tfds

    with _numbers() as builder:
        made = builder.as_dataset(split="train", shuffle_files=True)
        passes = [[int(each["number"]) for each in tfds.as_numpy(made)] for _ in range(2)]
    return alike(*passes)


@contextlib.contextmanager
def _numbers() -> Any:
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import registered

    with registered.skip_registration():

        class Numbers(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = tfds.features.FeaturesDict({"number": tf.int64})
                return tfds.core.DatasetInfo(builder=self, features=features)

            def _split_generators(self, _):
                return {"train": ((number, {"number": number}) for number in range(COUNT))}

            def _generate_examples(self):
                raise NotImplementedError

    with tempfile.TemporaryDirectory() as folder:
        builder = Numbers(data_dir=folder)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
        yield builder


# ------------------------------------------------------------------------------------------ the table

ROWS: list[tuple[str, str, str, Callable[[], str]]] = [
    ("torch", "DataLoader", "batches", partial(torch_workers, 0)),
    ("torch", "DataLoader", "batches of 2 workers", partial(torch_workers, 2)),
    ("torch", "DataLoader of an IterableDataset", "2 workers", torch_iterable),
    ("torch", "DataLoader", "`np.random` in 2 workers, 2 passes", partial(torch_drawn, "numpy")),
    ("torch", "DataLoader", "`random`", partial(torch_drawn, "python")),
    ("torch", "DataLoader", "`torch.rand`", partial(torch_drawn, "torch")),
    ("torch", "DataLoader", "a Generator that the data set holds", partial(torch_drawn, "held")),
    (
        *("torch", "DataLoader, persistent_workers", "a Generator that the data set holds"),
        partial(torch_drawn, "held", persistent=True),
    ),
    ("torch", "DistributedSampler", "3 ranks", partial(torch_ranks, drop_last=False)),
    ("torch", "DistributedSampler, drop_last", "3 ranks", partial(torch_ranks, drop_last=True)),
    ("torch", "DistributedSampler", "second pass without `set_epoch`", torch_epochs),
    ("lightning", "Trainer.test", "3 ranks", partial(lightning_ranks, "test")),
    ("lightning", "Trainer.predict", "3 ranks", partial(lightning_ranks, "predict")),
    ("accelerate", "prepare", "3 ranks", partial(accelerate_ranks, even=True)),
    ("accelerate", "prepare, even_batches=False", "3 ranks", partial(accelerate_ranks, even=False)),
    ("accelerate", "gather_for_metrics", "3 ranks", partial(accelerate_gathered, text=False)),
    (
        *("accelerate", "gather_for_metrics of a dict with text", "3 ranks"),
        partial(accelerate_gathered, text=True),
    ),
    ("torchdata", "StatefulDataLoader", "resumed after 3 batches", partial(stateful, 0)),
    ("torchdata", "StatefulDataLoader", "the same, 2 workers", partial(stateful, 2)),
    ("grain", "DataLoader", "batches", partial(grain_workers, 0)),
    ("grain", "DataLoader", "batches of 2 workers", partial(grain_workers, 2)),
    (
        *("grain", "DataLoader, drop_remainder", "batches of 2 workers"),
        partial(grain_workers, 2, drop=True),
    ),
    ("grain", "DataLoader", "batches of 2 epochs", partial(grain_workers, 0, epochs=2)),
    ("grain", "DataLoader", "second epoch", grain_epochs),
    ("grain", "ShardOptions", "3 ranks", partial(grain_ranks, drop=False)),
    ("grain", "ShardOptions, drop_remainder", "3 ranks", partial(grain_ranks, drop=True)),
    ("grain", "ShardOptions, drop_remainder", "a rank's second epoch", grain_shard_epochs),
    ("grain", "MapDataset[rank::3]", "3 ranks", grain_slices),
    ("tensorflow-cpu", "Dataset.shard", "3 ranks", tfdata_ranks),
    ("tensorflow-cpu", "shuffle(seed=1)", "another `tf.random.set_seed`", tfdata_seed),
    ("tensorflow-datasets", "even_splits", "3 ranks", partial(tfds_ranks, drop=False)),
    (
        *("tensorflow-datasets", "even_splits, drop_remainder", "3 ranks"),
        partial(tfds_ranks, drop=True),
    ),
    ("tensorflow-datasets", "shuffle_files=True, one file", "second pass", tfds_shuffled),
]


def main() -> None:
    """PyTorch comes first: TensorFlow and forked workers do not go together."""
    print("| library | | | 71 numbers, in eights |\n| --- | --- | --- | --- |")
    for distribution, what, given, measure in ROWS:
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            made = measure()
        print(f"| {distribution} {version} | {what} | {given} | {made} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
