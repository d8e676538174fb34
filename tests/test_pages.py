"""The script that runs each docs page in an environment of its own reads pages as people do."""

from __future__ import annotations

from pages import CORE, Stage, stages

PAGE = """
# A page

```sh
pip install "bmgd-data[torch]"     # for PyTorch
bmgd demo
```

```python
first = 1
```

Then `pip install monai`, and

```console
$ pip install kornia
```

```python
second = first
```

```python
third = second
```

Never needed: `pip install more`.
"""


def test_code_is_run_with_what_the_page_has_installed_above_it():
    assert list(stages(PAGE)) == [
        Stage([CORE, ["install", "bmgd-data[torch]"]], "first = 1\n\n"),
        Stage(
            [["install", "monai"], ["install", "kornia"]],
            "first = 1\n\nsecond = first\n\nthird = second\n\n",
        ),
    ]


def test_a_page_without_code_is_left_out():
    assert list(stages("`pip install bmgd-data`\n")) == []
