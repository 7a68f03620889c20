"""Globs: what `editable` and `protected` cover, and what they never cover."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoloop.core.globs import escaped, matches

parts = st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text and text not in (".", ".."))
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("**", "a", True),
        ("**", "a/b/c.py", True),
        ("src", "src/a/b.py", True),
        ("src/", "src/a.py", True),
        ("./src", "src/a.py", True),
        ("src/**", "src/a/b.py", True),
        ("src/**", "src", True),
        ("src/**", "srcs/a.py", False),
        ("src", "lib/src/a.py", False),
        ("**/src", "lib/src/a.py", True),
        ("**/src", "src/a.py", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a/b.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/a/b/c.py", True),
        ("src/**/*.py", "src/a.txt", False),
        ("*.py", "a.py", True),
        ("*.py", "src/a.py", False),
        ("**/*.py", "a.py", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].py", "a.py", True),
        ("[ab].py", "c.py", False),
        ("[!ab].py", "c.py", True),
        ("[!ab].py", "a.py", False),
        ("[^ab].py", "c.py", True),
        ("x[!a]y", "x/y", False),
        ("x[+-9]y", "x/y", False),
        ("[z-a]", "[z-a]", True),
        ("[z-a]", "a", False),
        ("[", "[", True),
        ("[]", "[]", True),
        ("a.py", "aXpy", False),
        ("a+(b)|c$", "a+(b)|c$", True),
        ("conftest.py", "conftest.py", True),
        ("conftest.py", "tests/conftest.py", False),
        ("a\\b", "a\\b", True),
        ("SRC", "src/a", False),
    ],
)
def test_a_pattern_covers_what_it_names(pattern: str, path: str, covered: bool) -> None:
    assert matches(path, [pattern]) is covered


def test_any_of_several_patterns_is_enough_and_none_covers_nothing() -> None:
    assert matches("b/c", ["a", "b"])
    assert not matches("b/c", [])


@given(paths)
def test_an_escaped_path_covers_itself_and_what_lies_below(path: str) -> None:
    if path.strip("/") != path or path.startswith("./"):
        return
    assert matches(path, [escaped(path)])
    assert matches(f"{path}/x", [f"{escaped(path)}/**"])
    assert not matches(f"{path}x", [escaped(path)])


@given(st.text(max_size=30), paths)
def test_no_pattern_is_an_error_and_everything_is_covered_by_two_stars(pattern: str, path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matches(path, [pattern])
    assert matches(path, ["**"])
