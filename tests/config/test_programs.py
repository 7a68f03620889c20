"""Programs are found, read strictly, and refused in one line that says what to change."""

import json
from pathlib import Path

import pytest

from autoloop.config.programs import PLACES, SCRIPTS, field_table, find_program, hints, list_programs, load_program
from autoloop.core.run.measurement import MEASURE
from autoloop.core.run.program import Direction, Rule
from autoloop.errors import AutoloopError

MINIMAL = 'metric_field = "ms"\ndirection = "lower"\n'


def make(
    root: Path, slug: str = "x", config: str = MINIMAL, *, place: str = "programs", name: str = "config.toml"
) -> Path:
    directory = root / place / slug
    directory.mkdir(parents=True)
    (directory / name).write_text(config)
    (directory / MEASURE).write_text("echo '{\"ms\": 1}'\n")
    return directory


def refusal(root: Path, config: str, name: str = "config.toml") -> str:
    with pytest.raises(AutoloopError) as caught:
        load_program(root, make(root, config=config, name=name))
    assert "\n" not in caught.value.message
    return caught.value.message


def test_the_smallest_program_needs_two_fields_and_a_measure_script(tmp_path: Path) -> None:
    program = load_program(tmp_path, make(tmp_path))
    assert (program.slug, program.directory) == ("x", "programs/x")
    assert program.criteria.direction is Direction.LOWER
    assert program.scripts == (MEASURE,)
    assert program.limits.max_experiments == 50
    assert program.text == ""
    assert "program.md" in hints(program)[0]


def test_every_field_reaches_the_part_that_it_belongs_to(tmp_path: Path) -> None:
    config = """
metric_field = "ms"
direction = "lower"
noise_threshold = 0.02
rule = "median"
repeats = 5
alpha = 0.01
max_pairs = 8
calibration_pairs = 4
baseline = "reuse"
keep_simplifications = false
strict = true
min_sample_ms = 3
canary = false
editable = ["src"]
protected = ["src/golden"]
cache_paths = ["./node_modules/"]
share_paths = [".venv"]
sparse = ["src"]
max_candidate_mb = 5
measure_network = "loopback"
measure_tracing = true
measure_env = ["HOME"]
devices = ["/dev/kvm"]
sockets = ["/run/x.sock"]
read_paths = ["~/sets"]
holdout_paths = ["/dev/null"]
warmup = 0
max_experiments = 7
max_consecutive_discards = 3
max_hours = 1.5
max_cost_usd = 2
max_tokens = 1000
target = -4
max_turns = 9
agent_timeout = 0
agent_idle_timeout = 1
on_quota = "stop"
measurement_timeout = 2
build_timeout = 3
min_free_gb = 0
max_load = 0.5

[quality_gates.errors]
max = 0

[quality_gates.size]
max_regression = 0.1

[secondary_metrics.size]
direction = "lower"

[[knobs]]
name = "block"
file = "src/a.py"
pattern = "BLOCK = (\\\\d+)"
type = "int"
low = 1
high = 64
log = true
"""
    program = load_program(tmp_path, make(tmp_path, config=config))
    written = {line.split(" = ")[0] for line in config.splitlines() if " = " in line}
    expected = {note.name for note in field_table()} - {"quality_gates", "secondary_metrics", "knobs"}
    assert expected <= written
    assert program.criteria.quality_gates["errors"].max == 0
    assert program.criteria.secondary_metrics["size"].direction is Direction.LOWER
    assert program.scope.cache_paths == ("node_modules",)
    assert program.scope.protected == ("src/golden", "programs/x/**")
    assert program.measuring.measure_network == "loopback"
    assert (program.limits.max_hours, program.limits.target) == (1.5, -4)
    assert program.tuning.knobs[0].name == "block"


def test_a_toml_and_a_json_config_of_the_same_names_are_the_same_program(tmp_path: Path) -> None:
    toml = load_program(tmp_path, make(tmp_path / "a", config=MINIMAL + "repeats = 5\n"))
    same = json.dumps({"metric_field": "ms", "direction": "lower", "repeats": 5})
    from_json = load_program(tmp_path, make(tmp_path / "b", config=same, name="config.json"))
    assert toml.criteria == from_json.criteria


def test_an_autoauto_directory_runs_unchanged(tmp_path: Path) -> None:
    config = {
        "metric_field": "score",
        "direction": "higher",
        "noise_threshold": 0.02,
        "repeats": 3,
        "quality_gates": {"errors": {"max": 0}},
        "secondary_metrics": {"size": {"direction": "lower"}},
        "max_experiments": 20,
        "max_consecutive_discards": 10,
        "max_turns": 50,
        "measurement_timeout": 60000,
        "build_timeout": 600000,
        "max_cost_usd": None,
        "keep_simplifications": True,
    }
    place = ".autoauto/programs"
    directory = make(tmp_path, "speed", json.dumps(config, indent=2), place=place, name="config.json")
    (directory / "build.sh").write_text("true\n")
    (directory / "program.md").write_text("# Program: speed\n\n## Goal\nFaster.\n")
    assert find_program(tmp_path, "speed") == directory
    program = load_program(tmp_path, directory)
    assert program.scripts == ("measure.sh", "build.sh")
    assert program.criteria.rule in Rule
    assert program.scope.is_protected(".autoauto/programs/speed/measure.sh")
    assert hints(program) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('repeats = "three"', 'repeats is "three"; allowed: a whole number from 1'),
        ('repeats = "3"', 'repeats is "3"; allowed: a whole number from 1'),
        ("repeats = 0", "repeats is 0; allowed: a whole number from 1"),
        ("repeats = 3.0", "repeats is 3.0; allowed"),
        ("repeats = true", "repeats is true; allowed"),
        ("alpha = nan", "alpha is NaN; allowed: a number above 0 and below 0.5"),
        ("max_hours = inf", "max_hours is Infinity; allowed: a number above 0"),
        ("max_hours = 0", "max_hours is 0; allowed: a number above 0"),
        ("noise_threshold = 2", "noise_threshold is 2; allowed: a fraction from 0"),
        ("noise_threshold = -0.1", "noise_threshold is -0.1; allowed: a fraction from 0"),
        ("canary = 1", "canary is 1; allowed: true or false"),
        ('rule = "mean"', 'rule is "mean"; allowed: "paired" or "median"'),
        ("target = 2024-01-01", 'target is "2024-01-01"; allowed: a number'),
        ('editable = "src"', 'editable is "src"; allowed: a list of globs'),
        ("editable = []", "editable is empty; allowed: a list of globs"),
        ('editable = ["src", 3]', "editable[1] is 3; allowed: a list of globs"),
        ("repeat = 3", 'unknown field "repeat"; did you mean "repeats"?'),
        ("quality_gates = 3", "quality_gates is 3; allowed: a table {field: {min, max, max_regression}}"),
        ("[quality_gates]\nerrors = 0", "quality_gates.errors is 0; allowed: a table"),
        ("[quality_gates.errors]\nmax = '0'", 'quality_gates.errors.max is "0"; allowed: a number'),
        ("[quality_gates.errors]\nmax_regression = -1", "errors.max_regression is -1; allowed: a number from 0"),
        ("[quality_gates.errors]", "quality_gates.errors: needs one of min, max, max_regression"),
        ("[quality_gates.errors]\nmin = 3\nmax = 1", "quality_gates.errors: min 3 is above max 1"),
        (
            "[quality_gates.errors]\nmaximum = 1",
            'unknown field "maximum" in quality_gates.errors; allowed: a table {field',
        ),
        ("[quality_gates.errors]\nmax = 1\nrepeats = 5", "repeats stands inside the table quality_gates.errors"),
        ("[secondary_metrics.size]\ndirection = 'up'", 'size.direction is "up"; allowed: "lower" or "higher"'),
        ("[secondary_metrics.size]", "secondary_metrics.size.direction is missing"),
        ("[secondary_metrics.ms]\ndirection = 'lower'", "secondary_metrics.ms is the metric_field itself"),
    ],
)
def test_a_wrong_value_is_named_with_file_field_and_what_is_allowed(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(tmp_path, MINIMAL + line + "\n")
    assert message.startswith("programs/x/config.toml: ")
    assert said in message


KNOB = '[[knobs]]\nname = "k"\nfile = "a.py"\npattern = "X = (.*)"\n'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (KNOB + 'type = "int"\nlow = "1"\nhigh = 2', 'knobs[0].low is "1"; allowed: a number'),
        (KNOB + 'type = "int"\nlow = 2\nhigh = 1', "knobs[0]: knob 'k' needs low below high"),
        (KNOB + 'type = "float"\nlow = 0\nhigh = 1\nlog = true', "low must be above 0"),
        (KNOB + 'type = "choice"\nchoices = ["a"]', "needs at least two choices"),
        (KNOB + 'type = "choice"\nchoices = [[1], 2]', "knobs[0].choices[0] is [1]; allowed: text, a number"),
        (KNOB + 'type = "word"\nlow = 0\nhigh = 1', 'knobs[0].type is "word"; allowed: "int", "float" or "choice"'),
        (KNOB.replace("(.*)", ".*") + 'type = "choice"\nchoices = [1, 2]', "knobs[0].pattern has no group"),
        (KNOB.replace("(.*)", "(") + 'type = "choice"\nchoices = [1, 2]', "knobs[0].pattern is no regular expression"),
        ('editable = ["src"]\n' + KNOB + 'type = "choice"\nchoices = [1, 2]', 'knobs[0].file is "a.py", which'),
        (2 * (KNOB + 'type = "choice"\nchoices = [1, 2]\n'), 'the name "k" stands twice'),
        ('[[knobs]]\nname = "k"', "knobs[0].file is missing; needed: one for each entry: a list of tables"),
    ],
)
def test_a_wrong_knob_is_named_by_its_place(tmp_path: Path, lines: str, said: str) -> None:
    assert said in refusal(tmp_path, MINIMAL + lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('cache_paths = ["/tmp/x"]', 'cache_paths has "/tmp/x", which is not relative'),
        ('share_paths = ["~/data"]', "which is not relative"),
        ('cache_paths = ["../x"]', "which leads out of the repository"),
        ('cache_paths = ["a/../../x"]', "which leads out of the repository"),
        ('cache_paths = ["."]', "which is the whole repository"),
        ('share_paths = [".git"]', "which is git's own"),
        ('cache_paths = ["build*"]', "which is a glob"),
        ('cache_paths = ["a", "a/b"]', 'cache_paths has "a", which overlaps "a/b"'),
        ('cache_paths = ["a/b"]\nshare_paths = ["a"]', 'cache_paths has "a/b", which overlaps "a"'),
        ('share_paths = ["programs"]', 'share_paths has "programs", which overlaps "programs/x"'),
        ('sparse = ["../x"]', "sparse has"),
        ('editable = ["/src"]', "which is not relative"),
        ('protected = ["../golden"]', "which leads out"),
        ('editable = ["programs/x/data.txt"]', "editable lies wholly in protected"),
        ('editable = ["src/**"]\nprotected = ["src"]', "editable lies wholly in protected"),
    ],
)
def test_paths_that_contradict_each_other_are_refused(tmp_path: Path, line: str, said: str) -> None:
    assert said in refusal(tmp_path, MINIMAL + line)


def test_missing_and_reserved_names_are_refused(tmp_path: Path) -> None:
    assert "metric_field is missing; needed: the name of the primary" in refusal(tmp_path / "a", 'direction = "lower"')
    assert "direction is missing" in refusal(tmp_path / "b", 'metric_field = "ms"')
    assert 'metric_field is ""' in refusal(tmp_path / "c", 'metric_field = ""\ndirection = "lower"')
    assert "means something else" in refusal(tmp_path / "d", 'metric_field = "cases"\ndirection = "lower"')


def test_a_damaged_config_is_named_with_its_line(tmp_path: Path) -> None:
    assert "line 1" in refusal(tmp_path / "a", "metric_field = \n")
    assert "line 1 column 2" in refusal(tmp_path / "b", "{", "config.json")
    assert "allowed: one object" in refusal(tmp_path / "c", "[]", "config.json")
    assert '"a" stands twice' in refusal(tmp_path / "d", '{"a": 1, "a": 2}', "config.json")
    assert "nested too deeply" in refusal(tmp_path / "e", '{"a":' + "[" * 200_000, "config.json")
    endless = '{"metric_field": "m", "direction": "lower", "target": 1e999}'
    assert "target is Infinity" in refusal(tmp_path / "f", endless, "config.json")


def test_a_config_that_is_not_utf8_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / "config.toml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load_program(tmp_path, directory).criteria.metric_field == "ms"
    (directory / "config.toml").write_bytes(b"# \xff\n" + MINIMAL.encode())
    with pytest.raises(AutoloopError, match="is not UTF-8"):
        load_program(tmp_path, directory)


def test_two_configs_are_refused_with_the_one_to_delete(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / "config.json").write_text("{}")
    with pytest.raises(AutoloopError, match="both") as caught:
        load_program(tmp_path, directory)
    assert "rm programs/x/config.json" in caught.value.hint


def test_a_program_without_config_or_measure_script_says_which_file_is_missing(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / MEASURE).unlink()
    with pytest.raises(AutoloopError, match=r"^programs/x/measure\.sh is missing"):
        load_program(tmp_path, directory)
    (directory / "config.toml").unlink()
    with pytest.raises(AutoloopError, match=r"^programs/x/config\.toml is missing"):
        load_program(tmp_path, directory)


def test_a_script_with_windows_line_endings_is_refused_before_bash_stumbles_on_it(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / "checks.sh").write_bytes(b"set -e\r\ntrue\r\n")
    with pytest.raises(AutoloopError, match=r"checks\.sh has Windows line endings"):
        load_program(tmp_path, directory)


def test_optional_scripts_are_seen_and_directories_of_their_names_are_not(tmp_path: Path) -> None:
    directory = make(tmp_path)
    for name in set(SCRIPTS) - {"screen.sh"}:
        (directory / name).write_text("true\n")
    (directory / "screen.sh").mkdir()
    assert load_program(tmp_path, directory).scripts == tuple(name for name in SCRIPTS if name != "screen.sh")


def test_a_holdout_that_git_tracks_is_refused(tmp_path: Path) -> None:
    directory = make(tmp_path)
    (directory / "holdout.sh").write_text("true\n")
    assert load_program(tmp_path, directory, lambda path: False).has("holdout.sh")
    with pytest.raises(AutoloopError, match="tracked by git") as caught:
        load_program(tmp_path, directory, {"programs/x/holdout.sh"}.__contains__)
    assert "git rm --cached programs/x/holdout.sh" in caught.value.hint


def test_a_program_outside_the_repository_is_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    directory = make(tmp_path / "elsewhere")
    program = load_program(tmp_path / "repo", directory)
    assert program.directory == str(directory)
    assert program.scope.protected == ()


def test_a_linked_program_directory_is_protected_at_both_its_names(tmp_path: Path) -> None:
    make(tmp_path, place="elsewhere")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/x").symlink_to("../elsewhere/x")
    scope = load_program(tmp_path, tmp_path / "programs/x").scope
    assert scope.is_protected("programs/x/measure.sh")
    assert scope.is_protected("elsewhere/x/measure.sh")


def test_glob_characters_in_a_path_do_not_unprotect_the_program(tmp_path: Path) -> None:
    scope = load_program(tmp_path, make(tmp_path, place="a[b]*c")).scope
    assert scope.is_protected("a[b]*c/x/measure.sh")
    assert not scope.is_protected("ab*c/x/measure.sh")


@pytest.mark.parametrize("name", ["my program", "a..b", ".x", "x.lock", "-x", "x~1", "é"])
def test_a_name_that_cannot_be_part_of_a_branch_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AutoloopError, match="cannot name a program"):
        load_program(tmp_path, make(tmp_path, name))


def test_the_root_of_the_repository_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(MINIMAL)
    with pytest.raises(AutoloopError, match="root cannot be a program"):
        load_program(tmp_path, tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_a_slug_is_looked_for_in_three_places(tmp_path: Path, place: str) -> None:
    directory = make(tmp_path, place=place)
    assert find_program(tmp_path, "x") == directory
    assert list_programs(tmp_path) == ["x"]


def test_the_first_place_wins_and_a_slug_wins_over_a_path(tmp_path: Path) -> None:
    first = make(tmp_path)
    make(tmp_path, place=".autoauto/programs")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/measure.sh").touch()
    assert find_program(tmp_path, "x") == first
    assert find_program(tmp_path, "./x").samefile(tmp_path / "x")


def test_programs_below_the_directory_one_stands_in_come_first(tmp_path: Path) -> None:
    package = tmp_path / "packages/a"
    near, far, other = make(package), make(tmp_path), make(tmp_path, "other")
    (package / "src").mkdir()
    assert find_program(tmp_path, "x", package / "src") == near
    assert find_program(tmp_path, "x") == far
    assert find_program(tmp_path, "other", package) == other
    assert list_programs(tmp_path, package) == ["x", "other"]
    assert find_program(tmp_path, "programs/x", package).samefile(near)
    assert find_program(tmp_path, "packages/a/programs/x", package).samefile(near)
    assert find_program(tmp_path, ".", near).samefile(near)


def test_an_unknown_program_is_answered_with_what_there_is_and_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(AutoloopError, match='no program "speed" here') as caught:
        find_program(tmp_path, "speed")
    assert "There is none yet. `autoloop init speed`" in caught.value.hint
    make(tmp_path, "latency")
    with pytest.raises(AutoloopError, match='did you mean "latency"') as caught:
        find_program(tmp_path, "latncy")
    assert caught.value.hint.startswith("Found: latency.")


def test_every_field_has_a_default_and_a_note_for_people() -> None:
    notes = {note.name: note for note in field_table()}
    assert all(note.allowed and note.default for note in notes.values())
    assert notes["metric_field"].default == "required"
    assert notes["editable"].default == '["**"]'
    assert notes["target"].default == "none"
    assert notes["rule"].default in ('"median"', '"paired"')
