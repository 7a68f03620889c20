"""What counts as removing code, and what only looks like it."""

import pytest

from autoloop.core.gaming.inspect import code_removed, is_code
from autoloop.core.run.candidate import Candidate, Change
from autoloop.core.run.program import Scope

HEADER = "diff --git a/{0} b/{0}\nindex 1..2 100644\n--- a/{0}\n+++ b/{0}\n@@ -1,9 +1,9 @@\n"


def removed(*files: tuple[str, str], scope: Scope = Scope(), clipped: bool = False) -> int:
    changes, patch = [], ""
    for path, lines in files:
        added, gone = (sum(line.startswith(sign) for line in lines.split("\n")) for sign in "+-")
        changes.append(Change(path=path, kind="modified", added=added, removed=gone))
        patch += HEADER.format(path) + lines + "\n"
    if clipped:
        patch = patch[: patch.rindex("\n+")] + "\n[the rest of the patch is left out]\n"
    return code_removed(Candidate(commit="c", parent="p", changes=tuple(changes)), patch, scope)


def test_code_lines_count_and_blank_lines_and_comments_do_not() -> None:
    assert removed(("a.py", " x\n-a = 1\n-b = 2\n+c = 3\n-\n-   \n-# why\n+# because")) == 1
    assert removed(("a.c", "-#include <a.h>\n-// text\n-/* text\n- * text\n-int a;")) == 2


@pytest.mark.parametrize(
    "path",
    [
        "tests/a.py",
        "test/a.c",
        "src/__tests__/a.js",
        "a_test.go",
        "test_a.py",
        "a.test.ts",
        "a.spec.js",
        "a_spec.rb",
        "conftest.py",
        "src/FooTest.java",
        "spec/a.rb",
        "fixtures/a.py",
        "Tests/a.swift",
    ],
)
def test_deleting_tests_is_no_simplification(path: str) -> None:
    assert not is_code(path)
    assert removed((path, "-a = 1\n-b = 2")) == 0


@pytest.mark.parametrize(
    "path", ["README.md", "docs/a.rst", "package-lock.json", "LICENSE", "go.sum", "a.yaml", "data.CSV"]
)
def test_deleting_papers_and_settings_is_no_simplification(path: str) -> None:
    assert not is_code(path)


@pytest.mark.parametrize(
    "path", ["a.py", "src/latest.py", "contest.c", "bin/tool", "Makefile", "src/notice.py", "a.html", "attest.go"]
)
def test_code_is_code_whatever_its_name_contains(path: str) -> None:
    assert is_code(path)


def test_what_lies_outside_the_scope_does_not_count() -> None:
    files = (("src/a.py", "-a = 1"), ("lib/b.py", "-b = 1\n-c = 1"))
    assert removed(*files, scope=Scope(editable=("src",))) == 1
    assert removed(*files, scope=Scope(protected=("lib/**",))) == 1


def test_a_patch_that_shows_only_the_deletions_is_not_believed() -> None:
    lines = "-a = 1\n-b = 2\n+c = 3\n+d = 4\n+e = 5"
    assert removed(("a.py", lines)) == -1
    assert removed(("a.py", lines), clipped=True) == -1
    assert removed(("a.py", "-a = 1\n-b = 2"), ("z.py", "+x = 1\n+y = 2\n+z = 3"), clipped=True) == -1


def test_a_line_break_of_another_kind_inside_a_line_forges_no_deletion() -> None:
    assert removed(("a.py", "+x = 1 # \u2028-y = 2\x0c-z = 3\x0b-w = 4")) == -1


def test_lines_that_look_like_headers_are_lines() -> None:
    assert removed(("a.lua", "--- a comment\n-++ x\n+-- y\n-x = 1")) == 2
    assert removed(("a.txt.py", " diff --git a/b.py b/b.py\n-a = 1")) == 1


def test_paths_with_spaces_are_told_apart() -> None:
    assert removed(("tests/a b/c.py", "-a = 1\n-b = 2"), ("c.py", "+x = 1")) == -1


def test_binary_files_and_files_that_are_not_shown_go_by_what_git_counted() -> None:
    changes = (Change(path="a.bin", kind="modified"), Change(path="b.py", kind="deleted", added=0, removed=7))
    assert code_removed(Candidate(commit="c", parent="p", changes=changes), "", Scope()) == 7
