"""What `bmgd info` tells of the data set: the facts, laid out; no data is needed."""

from __future__ import annotations

from bmgd_data import facts
from bmgd_data.cli.console import say, show


def about() -> None:
    """Print what the paper and upstream say of BMGD, how to cite it, and the licences."""
    say(f"{facts.NAME}, the {facts.LONG_NAME}\n")
    for title, text in facts.ACQUISITION.items():
        say(f"{title}: {text}")

    rows = [
        [c.name, c.archive, str(c.images), str(c.nuclei), f"{c.nuclei / c.images:.2f}"]
        for c in facts.CONDITIONS
    ]
    average = f"{facts.NUCLEI / facts.IMAGES:.2f}"
    rows.append(["all", "", str(facts.IMAGES), str(facts.NUCLEI), average])
    show(("stiffness", "archive", ">images", ">nuclei", ">nuclei/image"), rows, total=True)
    sizes = ", ".join(f"{size} {name}" for name, size in facts.SPLIT_SIZES.items())
    say(f"The paper's split: {sizes}; which image is where is not published.\n")

    say("The paper's baselines: U-Nets with these encoders, scores in percent.")
    show(
        ("encoder", ">F1", ">IoU", ">validation loss"),
        [[b.encoder, f"{b.f1:.2f}", f"{b.iou:.2f}", f"{b.val_loss:.5f}"] for b in facts.BASELINES],
    )
    say(
        "Loss, optimiser, schedule, batch size and epochs are not published, nor whether the "
        "scores are of validation or test; so the losses cannot be compared with others.\n"
    )
    say(f"Cite: {facts.CITATION} BibTeX: `bmgd info --bibtex`.")
    say(f"Data: {facts.REPOSITORY}")
    say(f"Authors' code: {facts.AUTHORS_CODE}")
    say(f"Licence of the data: {facts.DATA_LICENSE}.")
    say(f"Licence of this package's code: {facts.CODE_LICENSE}.")
