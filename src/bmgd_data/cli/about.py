"""`bmgd info`: the facts about the data set; no data is needed."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from bmgd_data import facts
from bmgd_data.cli.console import say, show


def info(
    bibtex: Annotated[bool, Option("--bibtex", help="Only the BibTeX entry.")] = False,
) -> None:
    """Show what the data set is, how to cite it, and the licences; needs no data."""
    if bibtex:
        say(facts.BIBTEX.rstrip())
        return
    say(f"{facts.NAME}, the {facts.LONG_NAME}\n")
    for title, text in facts.ACQUISITION.items():
        say(f"{title}: {text}")

    rows = [(c.name, c.archive, c.images, c.nuclei) for c in facts.CONDITIONS]
    rows.append(("all", "", facts.IMAGES, facts.NUCLEI))
    show(
        ("stiffness", "archive", ">images", ">nuclei", ">nuclei/image"),
        [[name, file, str(n), str(nuclei), f"{nuclei / n:.2f}"] for name, file, n, nuclei in rows],
        total=True,
    )
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
