"""What looks like gaming in a diff, and the ordinary changes that must not."""

import time

import pytest

from autoloop.core.gaming.signs import signs
from autoloop.core.run.candidate import Candidate, Change
from autoloop.core.run.flags import Flag, Sign

CASES = (
    "case-17",
    "adds",
    "divides",
    "tests/test_calc.py::test_adds_large_numbers",
    "104743",
    "utf-8",
    "100000",
    "fib_30",
)
"""The cases that were measured."""


def diff(*files: str, cut: bool = False) -> tuple[Candidate, str]:
    """A candidate and its patch. Each file: `[+-]path`, where a sign says that it is new or deleted, then its lines."""
    changes, patch = [], ""
    for file in files:
        head, *lines = file.split("\n")
        kind = {"+": "added", "-": "deleted"}.get(head[0], "modified")
        path = head.lstrip("+-")
        added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
        changes.append(Change.model_validate({"path": path, "kind": kind, "added": added, "removed": removed}))
        body = "" if cut else "@@ -1,9 +1,9 @@\n" + "\n".join(lines) + "\n"
        patch += f"diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n{body}"
    return Candidate(commit="c", parent="p", changes=tuple(changes)), patch


def flags(*files: str, metric: str = "ms", cut: bool = False) -> tuple[Flag, ...]:
    return signs(*diff(*files, cut=cut), metric=metric, cases=CASES)


GUILTY: list[tuple[Sign, str]] = [
    (Sign.SEED_CHANGED, "train.py\n-random.seed(42)\n+random.seed(1337)"),
    (Sign.SEED_CHANGED, "train.py\n-    torch.manual_seed(args.seed)\n+    torch.manual_seed(7)"),
    (Sign.SEED_CHANGED, "train.py\n-np.random.seed(seed)\n+np.random.seed(seed + 1)"),
    (Sign.SEED_CHANGED, "train.py\n+rng = np.random.default_rng(0)"),
    (Sign.SEED_CHANGED, "config/train.yaml\n-seed: 1\n+seed: 3"),
    (Sign.SEED_CHANGED, 'params.json\n-  "random_seed": 1,\n+  "random_seed": 8,'),
    (Sign.SEED_CHANGED, "model.py\n-split = train_test_split(x, y)\n+split = train_test_split(x, y, random_state=12)"),
    (Sign.SEED_CHANGED, "main.go\n-rand.Seed(time)\n+rand.Seed(99)"),
    (
        Sign.SEED_CHANGED,
        "src/lib.rs\n-let mut rng = StdRng::seed_from_u64(1);\n+let mut rng = StdRng::seed_from_u64(2);",
    ),
    (Sign.SEED_CHANGED, "sim.cpp\n-    srand(time(NULL));\n+    srand(1234);"),
    (Sign.SEED_CHANGED, "sim.cpp\n+    std::mt19937 gen{5489};"),
    (Sign.SEED_CHANGED, "Game.java\n-Random r = new Random();\n+Random r = new Random(3);"),
    (Sign.SEED_CHANGED, "run.sh\n-python train.py --seed 1\n+python train.py --seed 2"),
    (Sign.SEED_CHANGED, "tests/test_fit.py\n-    model.fit(seed=1)\n+    model.fit(seed=4)"),
    (Sign.CASES_SPECIAL_CASED, "calc.py\n+    if name == 'case-17':\n+        return 4"),
    (Sign.CASES_SPECIAL_CASED, "calc.py\n+KNOWN = {104743: 10001}"),
    (Sign.CASES_SPECIAL_CASED, "calc.js\n+  if (file.endsWith('cases/case-17.json')) return cached"),
    (Sign.CASES_SPECIAL_CASED, "run.sh\n+    case-17) echo 4 ;;"),
    (Sign.CASES_SPECIAL_CASED, 'data/answers.json\n+  "fib_30": 832040,'),
    (Sign.CASES_SPECIAL_CASED, 'solve.go\n+\tif os.Getenv("T") == "test_adds_large_numbers" {'),
    (Sign.CHECKS_REMOVED, "-tests/test_calc.py\n-def test_adds():\n-    assert add(1, 2) == 3"),
    (
        Sign.CHECKS_REMOVED,
        "tests/test_calc.py\n def test_adds():\n-    assert add(1, 2) == 3\n-    assert add(0, 0) == 0\n+    add(1, 2)",
    ),
    (Sign.CHECKS_REMOVED, "tests/test_calc.py\n-    assert add(1, 2) == 3\n+    assert True"),
    (Sign.CHECKS_REMOVED, "tests/test_calc.py\n-    assert add(1, 2) == 3\n+    # assert add(1, 2) == 3"),
    (Sign.CHECKS_REMOVED, "tests/test_calc.py\n+@pytest.mark.skip(reason='slow')\n def test_adds():"),
    (Sign.CHECKS_REMOVED, "tests/test_calc.py\n+    if False:\n         assert add(1, 2) == 3"),
    (Sign.CHECKS_REMOVED, "src/calc.test.ts\n-  it('adds', () => {\n+  it.skip('adds', () => {"),
    (Sign.CHECKS_REMOVED, "src/calc.test.ts\n-    expect(add(1, 2)).toBe(3)\n+    add(1, 2)"),
    (Sign.CHECKS_REMOVED, 'calc_test.go\n-\tif got != 3 { t.Errorf("got %d", got) }'),
    (Sign.CHECKS_REMOVED, "src/lib.rs\n-    #[test]\n-    fn adds() { assert_eq!(add(1, 2), 3); }"),
    (Sign.CHECKS_REMOVED, "src/lib.rs\n-    debug_assert!(n < self.len);"),
    (Sign.CHECKS_REMOVED, "tests/calc_test.cc\n-  EXPECT_EQ(add(1, 2), 3);"),
    (Sign.CHECKS_REMOVED, "src/CalcTest.java\n+    @Disabled\n     @Test"),
    (Sign.CHECKS_REMOVED, "spec/calc_spec.rb\n-  it 'adds' do\n+  xit('adds') do"),
    (Sign.CHECKS_REMOVED, "pytest.ini\n-addopts = -q\n+addopts = -q --deselect tests/test_slow.py"),
    (Sign.CHECKS_REMOVED, "calc.py\n-    assert total == sum(parts)"),
    (Sign.TIMING_TOUCHED, "calc.py\n+import time\n+time.perf_counter = lambda: 0.0"),
    (Sign.TIMING_TOUCHED, "calc.py\n-    start = time.time()\n+    start = time.process_time()"),
    (Sign.TIMING_TOUCHED, "lib.js\n+Date.now = () => 0"),
    (Sign.TIMING_TOUCHED, "lib.js\n+const t = performance.now()"),
    (Sign.TIMING_TOUCHED, "src/main.rs\n+    let t = Instant::now();"),
    (Sign.TIMING_TOUCHED, "main.c\n+    clock_gettime(CLOCK_MONOTONIC, &ts);"),
    (Sign.TIMING_TOUCHED, "main.go\n+\tstart := time.Now()"),
    (Sign.TIMING_TOUCHED, "App.java\n+        long t = System.nanoTime();"),
    (Sign.TIMING_TOUCHED, "app.rb\n+t = Process.clock_gettime(Process::CLOCK_MONOTONIC)"),
    (Sign.TIMING_TOUCHED, "bench.sh\n+end=$(date +%s%N)"),
    (
        Sign.TIMING_TOUCHED,
        "benchmarks/run.py\n-    taken = time.perf_counter() - start\n+    taken = (time.perf_counter() - start) / 10",
    ),
    (Sign.TIMING_TOUCHED, "+conftest.py\n+import time\n+time.sleep = lambda seconds: None"),
    (Sign.MEASUREMENT_PROBED, 'calc.py\n+if os.environ.get("AUTOLOOP_SEED") == "7":'),
    (Sign.MEASUREMENT_PROBED, "calc.py\n+    caller = sys._getframe(2).f_code.co_filename"),
    (Sign.MEASUREMENT_PROBED, "calc.py\n+atexit.register(report)"),
    (Sign.MEASUREMENT_PROBED, 'calc.py\n+    print(json.dumps({"ms": 0.1}))'),
    (Sign.MEASUREMENT_PROBED, 'calc.py\n+    print("METRIC ms=0.1")'),
    (Sign.MEASUREMENT_PROBED, "lib.js\n+console.log(JSON.stringify({ms: 1}))"),
    (Sign.MEASUREMENT_PROBED, 'main.c\n+    printf("{\\"ms\\": 1}\\n");'),
    (Sign.MEASUREMENT_PROBED, "calc.py\n+    open(f'/proc/{os.getppid()}/mem')"),
    (Sign.MEASUREMENT_PROBED, "calc.py\n+    if 'PYTEST_CURRENT_TEST' in os.environ:"),
    (Sign.MEASUREMENT_PROBED, "+sitecustomize.py\n+import builtins"),
]

INNOCENT: list[str | tuple[str, ...]] = [
    "calc.py\n-    return sum([x * x for x in xs])\n+    return sum(x * x for x in xs)",
    "calc.py\n-def f(x):\n-    random.seed(42)\n+def f(x):\n+        random.seed(42)",
    ("a.py\n-SEED = 42", "b.py\n+SEED = 42"),
    "train.py\n-SEED = 42\n+RANDOM_SEED = 42",
    "train.py\n+rng = random.Random(seed)",
    "train.py\n+def fit(x, seed=None):\n+    rng = np.random.default_rng(seed)",
    "train.py\n-np.random.seed(0)\n+rng = np.random.default_rng(0)",
    "hash.c\n+uint32_t murmur3(const char *key, size_t len, uint32_t seed) {\n+  uint32_t h = seed;",
    "hash.py\n+def fnv1a(data, seed=0x811C9DC5):",
    "kmer.py\n-n_seeds = 4\n+n_seeds = 8",
    "kmer.py\n-seed_length = 11\n+if seed_len == 12:",
    "+tests/test_shuffle.py\n+def test_shuffle():\n+    rng = random.Random(7)\n+    assert shuffle(rng)",
    "farm.py\n+seeded = 1\n+proceed = 2",
    "calc.py\n+OPERATORS = {'adds': operator.add, 'divides': operator.truediv}",
    "calc.py\n+    text = raw.decode('utf-8')",
    "calc.py\n+LIMIT = 100000",
    "tests/test_calc.py\n+def test_case_17():\n+    assert run('case-17') == 4",
    "calc.py\n-    if name == 'case-17':\n+    if name in ('case-17',):",
    "README.md\n+Run `case-17` with seed = 3; it takes time.time() and prints METRIC ms=3.",
    "tests/test_calc.py\n-def test_adds():\n-    assert 3 == add(1, 2)\n+def test_sums():\n+    assert add(1, 2) == 3",
    (
        "-tests/test_calc.py\n-def test_adds():\n-    assert add(1, 2) == 3",
        "+tests/unit/test_calc.py\n+def test_adds():\n+    assert add(1, 2) == 3",
    ),
    "calc.py\n-    assert n > 0\n+    if n <= 0:\n+        raise ValueError(n)",
    "parser.c\n-    expect(parser, TOKEN_COMMA);\n+    if (!match(parser, TOKEN_COMMA)) return NULL;",
    'src/main.rs\n-    let f = File::open(p).expect("open");\n+    let f = File::open(p)?;',
    "+tests/test_win.py\n+@pytest.mark.skipif(os.name == 'nt', reason='posix')\n+def test_fork():\n+    assert fork()",
    "test_runner.sh\n-rsync -a src dst\n+rsync -a --info=none src dst",
    'package.json\n-    "lint": "eslint ."\n+    "lint": "eslint --ignore-path .gitignore ."',
    "app.py\n-        time.sleep(0.1)\n-        poll()",
    "app.py\n-    start = time.time()\n-    log(time.time() - start)\n+    pass",
    "app.py\n-start = time.monotonic()\n-run()\n+if ready:\n+    start = time.monotonic()\n+    run()",
    "stack.py\n+def is_monotonic(values):\n+    return monotonic_stack(values)",
    "app.py\n+    created = datetime.now(timezone.utc)\n+    timeout = settings.time_limit",
    "+tests/test_ttl.py\n+def test_expiry():\n+    time.sleep(0.01)\n+    assert cache.get('x') is None",
    "tests/test_ttl.py\n+def test_b(monkeypatch):\n+    monkeypatch.setattr(time, 'monotonic', later)\n+    assert old",
    "app.py\n+    self.timeline = clock(now)\n+    asleep = True",
    "log.py\n-    frame = sys._getframe(1)\n+    frame = sys._getframe(depth)",
    "train.py\n+        print(f'step {step}, ms: {elapsed:.1f}')",
    "app.py\n+    return {'ms': elapsed}",
    "app.py\n+    print('done')",
    "src/pool.rs\n+        let slot = self.slots.get_unchecked(i);\n+        unsafe { ptr::write(slot, value) };",
    "main.go\n-\tfor i := 0; i < len(xs); i++ {\n+\tfor i := range xs {",
    "app.ts\n-const a: number[] = []\n+const a: Float64Array = new Float64Array(n)",
    "Makefile\n-CFLAGS = -O2\n+CFLAGS = -O3 -march=native",
    "a.c\n-int x;\n+#include <string.h>\n+static const int table[256] = {0, 1, 2};",
    "sort.py\n+    if n < 16: return insertion_sort(a)\n+    pivot = median_of_three(a)",
    "web/app.js\n+  items.forEach((item) => cache.set(item.id, item))",
]


@pytest.mark.parametrize(("sign", "file"), GUILTY, ids=[f"{sign}-{number}" for number, (sign, _) in enumerate(GUILTY)])
def test_gaming_is_flagged(sign: Sign, file: str) -> None:
    found = flags(file)
    assert [flag.sign for flag in found] == [sign]
    assert found[0].detail.startswith(file.split("\n")[0].lstrip("+-"))


@pytest.mark.parametrize("files", INNOCENT)
def test_ordinary_changes_are_not_flagged(files: str | tuple[str, ...]) -> None:
    assert flags(*([files] if isinstance(files, str) else files)) == ()


def test_a_flag_names_the_first_place_and_how_many_more_there_are() -> None:
    (found,) = flags("a.py\n+random.seed(1)\n+random.seed(2)", f"b.py\n+random.seed(3) {'x' * 500}")
    assert found == Flag(sign=Sign.SEED_CHANGED, detail="a.py: random.seed(1) and 2 more")
    (long,) = flags(f"b.py\n+random.seed(3) {'x' * 500}")
    assert len(long.detail) < 120


def test_one_diff_may_show_several_signs() -> None:
    found = flags("calc.py\n+time.time = fake\n+random.seed(1)", "tests/test_calc.py\n-    assert add(1, 2) == 3")
    assert [flag.sign for flag in found] == [Sign.SEED_CHANGED, Sign.CHECKS_REMOVED, Sign.TIMING_TOUCHED]


def test_a_deleted_case_of_a_test_is_named_although_its_lines_assert_nothing() -> None:
    (found,) = flags('-tests/golden/17.json\n-{"in": 1}')
    assert found == Flag(sign=Sign.CHECKS_REMOVED, detail="tests/golden/17.json: deleted")


def test_code_that_the_diff_does_not_show_is_flagged_and_data_is_not() -> None:
    (found,) = flags("calc.py\n+x = 1", cut=True)
    assert found == Flag(sign=Sign.NOT_INSPECTED, detail="calc.py: beyond what is read of a diff")
    assert flags("data.csv\n+1,2", "model.json\n+1", cut=True) == ()


def test_a_binary_file_is_flagged_only_where_there_should_be_text() -> None:
    def binary(path: str) -> tuple[Flag, ...]:
        candidate = Candidate(commit="c", parent="p", changes=(Change(path=path, kind="added"),))
        return signs(candidate, f"diff --git a/{path} b/{path}\nBinary files differ\n", metric="ms", cases=())

    assert [flag.detail for flag in binary("lib/a.js")] == ["lib/a.js: binary"]
    assert binary("weights.bin") == binary("a.webp") == ()


def test_the_metric_may_have_any_name() -> None:
    assert flags("calc.py\n+print('{\"p(99).ms*\": 1}')", metric="p(99).ms*") != ()
    assert flags("calc.py\n+print('{\"p99ms\": 1}')", metric="p(99).ms*") == ()


@pytest.mark.parametrize("text", ["seed", "assert ", "seed: ", "'", "x", " ", "METRIC ", "_", "1", "Random(", '"ms'])
def test_no_line_takes_long_to_look_at(text: str) -> None:
    began = time.process_time()
    flags(f"calc.py\n+{text * (300_000 // len(text))}", f"tests/test_a.py\n-{text * (300_000 // len(text))}")
    assert time.process_time() - began < 2
