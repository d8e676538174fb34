"""The README.md of an exported folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmgd_data import facts
from bmgd_data.card import copy_of, dataset_card

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bmgd_data.reader import Reader


def plain(readers: Mapping[str, Reader], about: str) -> str:
    """A short README.md: format, source and version, licence, citation."""
    return f"""\
# {facts.NAME}, the {facts.LONG_NAME}

{about}
index.csv says which file is which sample.

{copy_of(readers)}

## Licence and citation

Licence of the data: {facts.DATA_LICENSE}.

{facts.CITATION}

```bibtex
{facts.BIBTEX}```
"""


def card(readers: Mapping[str, Reader], about: str) -> str:
    """A data set card whose head tells Hugging Face which folder is which split."""
    head = ["configs:", "- config_name: default", "  data_files:"]
    for name in readers:
        head += [f"  - split: {name}", f"    path: {name}/**"]
    return dataset_card(readers, "\n".join(head) + "\n", about)
