from __future__ import annotations

from bmgd_data._system.file_names import file_names, safe_file_name


def test_safe_file_name():
    assert safe_file_name("250Pa/colony 3.1") == "250Pa_colony_3_1"
    assert safe_file_name("250Pa/000") == "250Pa_000"
    assert safe_file_name("colony 3.1", loose=True) == "colony 3.1"
    assert safe_file_name('a<b>:"c', loose=True) == "a_b_c"
    assert safe_file_name("aux", loose=True) == "_aux"
    assert safe_file_name("Com1.txt", loose=True) == "_Com1.txt"
    assert safe_file_name("..", loose=True) == "_"
    assert safe_file_name(".hidden", loose=True) == "_hidden"
    assert safe_file_name("end. ", loose=True) == "end"
    assert safe_file_name("") == "_"
    assert len(safe_file_name("x" * 300)) <= 81


def test_file_names_do_not_depend_on_order():
    names = ["a b", "a_b", "A.b", "c"]
    made = file_names(names)
    assert made["c"] == "c"
    assert len({file.casefold() for file in made.values()}) == 4
    assert file_names(names[::-1]) == made
    # One that is named like another with its digest.
    tricky = [*names, made["a b"]]
    assert len({file.casefold() for file in file_names(tricky).values()}) == 5
