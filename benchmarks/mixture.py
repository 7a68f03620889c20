"""A repository whose agent does all that agents do, twenty experiments a round, and what has to become of each."""

import os
import subprocess
from pathlib import Path

NAPPING = "31557601"
"""Seconds that what is left running would sleep: tells it from everything else on the machine."""
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
MEASURE = r"""read -r _ _ x < code.py
sh src/tool.sh || exit 1
echo "the sealed measurement saw $x" > "$AUTOLOOP_DIAGNOSTICS"
echo "{\"ms\": $x, \"files\": $(ls src | wc -l)}"
"""
BUILD = r"""sh -n src/tool.sh || exit 1
read -r _ _ x < code.py
mkdir -p cache/objects && echo "built $x" > "cache/objects/$(cksum < code.py | tail -c 3)"
"""
HOLDOUT = r"""read -r _ _ x < code.py
echo "{\"ms\": $x, \"files\": 1}"
"""
CONFIG = """metric_field = "ms"
direction = "lower"
noise_threshold = 0.02
rule = "median"
repeats = 1
warmup = 0
keep_simplifications = false
secondary_metrics = {{ files = {{ direction = "lower" }} }}
editable = ["code.py", "src/**"]
protected = ["data/**"]
cache_paths = ["cache"]
measurement_timeout = 3000
max_experiments = {experiments}
max_consecutive_discards = 100000
min_free_gb = 0
"""
SETTINGS = """default_profile = "mixed"
[profiles.mixed]
agent = "command"
command = "sh agent.sh"
"""
ROUND: tuple[tuple[str, str], ...] = (
    ("improved", 'number $((x * 97 / 100))'),
    ("within_noise", 'echo "# experiment $n" >> src/notes.txt'),
    ("regressed", 'number $((x * 104 / 100))'),
    # Left running: one that can be told by its environment, one that cannot.
    ("within_noise", 'note; setsid sleep $nap & env -i setsid sleep $nap > /dev/null 2>&1 &'),
    ("within_noise", 'note; seq 20000 > src/junk.tmp; mkdir -p cache && seq 20000 > cache/mine'),
    ("within_noise", 'note; seq -f "%060.0f" 3000; seq -f "%060.0f" 1000 >&2'),
    ("agent_failed", 'echo "nothing came to mind" >&2; exit 3'),
    ("no_candidate", 'true'),
    ("build_failed", 'echo "if" >> src/tool.sh'),
    ("measurement_failed", 'echo "echo broken >&2; exit 1" >> src/tool.sh'),
    ("improved", 'number $((x * 97 / 100)); echo "# experiment $n" >> code.py'),
    ("out_of_scope", 'note; echo "mine now" >> README'),
    ("lock_violation", 'note; echo "echo {}" > data/golden.txt'),
    ("lock_violation", 'echo "echo moved > data/golden.txt" >> src/tool.sh'),
    ("within_noise", 'echo "setsid sleep $nap & env -i setsid sleep $nap &" >> src/tool.sh'),
    ("out_of_scope", 'note; git init -q src/in; mkdir src/shut; touch src/shut/x; chmod 0 src/shut; mkfifo src/pipe'),
    ("within_noise", 'mkdir -p src/deep/er; for i in $(seq 20); do echo "$n $i" > "src/deep/er/$i"; done'),
    ("within_noise", 'rm -r src/old; note'),
    ("out_of_scope", 'rm -r src/old; ln -s /etc src/old'),
    ("within_noise", 'note; git commit -qam one; git checkout -qb other; note; git commit -qam two'),
)  # fmt: skip
"""Experiment n does what stands at n modulo twenty, and ends with that reason."""
SLOW = ("measurement_failed", 'echo "sleep $nap" >> src/tool.sh')
"""Once in a hundred, in place of doing nothing: the measurement never ends."""
_SLOW_AT = 47
_MOVES_PROTECTED = 13
"""In the round: what is measured writes to a protected file, which is read-only where the sandbox can make it so."""


def intended(experiment: int, tier: str) -> str:
    """The reason that an experiment has to end with."""
    turn = experiment % len(ROUND)
    if experiment % 100 == _SLOW_AT:
        return SLOW[0]
    return "measurement_failed" if (tier, turn) == ("bwrap", _MOVES_PROTECTED) else ROUND[turn][0]


def agent() -> str:
    """The agent, in the language of the shell."""
    cases = "\n".join(f"  {number}) {what} ;;" for number, (_, what) in enumerate(ROUND))
    return f"""n=$AUTOLOOP_EXPERIMENT nap={NAPPING}
read -r _ _ x < code.py
number() {{ echo "x = $1" > code.py; }}
note() {{ echo "experiment $n" > src/notes.txt; }}
cat > /dev/null < "$AUTOLOOP_PACKET"
cat <<END
<notes>{{"hypothesis": "idea $n: the {{$((n % 7))}}th way", "why": "it has not been tried $n times",
"avoid": ["what experiment $n did"], "next": ["idea $((n + 1))"], "cost_usd": 0.01, "tokens": 1000}}</notes>
END
[ $((n % 100)) = {_SLOW_AT} ] && {{ {SLOW[1]}; exit; }}
case $((n % {len(ROUND)})) in
{cases}
esac
"""


def make_repository(root: Path, experiments: int) -> None:
    """The repository with its program; the holdout is not committed, so that no agent can read it."""
    files = {
        "programs/soak/program.md": "Lower x.\n",
        "programs/soak/measure.sh": MEASURE,
        "programs/soak/build.sh": BUILD,
        "programs/soak/config.toml": CONFIG.format(experiments=experiments),
        "autoloop.toml": SETTINGS,
        "agent.sh": agent(),
        "README": "A repository.\n",
        ".gitignore": "/cache/\n*.tmp\n",
        "code.py": f"x = {10**12}\n",
        "data/golden.txt": "1\n",
        "src/tool.sh": ":\n",
        "src/notes.txt": "none yet\n",
        **{f"src/old/part{number}.txt": f"{number}\n" * 20 for number in range(200)},
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
        subprocess.run(["git", *IDENTITY, *words], cwd=root, check=True)
    (root / "programs/soak/holdout.sh").write_text(HOLDOUT)


def environment(work: Path, sandbox: str) -> dict[str, str]:
    """What the processes of a soak find around them: a home and a cache of their own."""
    (work / "home").mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(work / "home"),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "AUTOLOOP_CACHE_DIR": str(work / "cache"),
        "AUTOLOOP_SANDBOX": sandbox,
    }
