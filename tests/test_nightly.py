"""`run_nightly.sh`: what it hands to autoloop, and what it refuses. The autoloop it finds writes down its words."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "run_nightly.sh"
DOUBLE = """#!/bin/sh
[ "$1" = bench ] && echo "key=$ANTHROPIC_API_KEY$OPENAI_API_KEY" >> said
echo "$*" >> said
[ "$1 $2" = "bench --resume" ] || { mkdir -p out; touch out/journal.jsonl; }
[ "$1" = report ] && exit 5
exit ${BENCH_EXIT:-0}
"""


@pytest.fixture
def night(tmp_path: Path) -> Path:
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/autoloop").write_text(DOUBLE)
    (tmp_path / "bin/autoloop").chmod(0o755)
    return tmp_path


def run(night: Path, env_file: str | None, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    if env_file is not None:
        (night / ".env").write_text(env_file)
    env = {"PATH": f"{night}/bin:{os.environ['PATH']}", **environ}
    command = ["bash", str(night / "run_nightly.sh"), *words]
    return subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, check=False)


def said(night: Path) -> list[str]:
    return (night / "said").read_text().splitlines()


BASE = "SUITE=s\nOUTPUT_DIR=out\n"


def test_a_missing_env_file_is_said_clearly(night: Path) -> None:
    done = run(night, None)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no .env in" in done.stderr and "Copy .env.example to .env" in done.stderr


def test_the_variables_become_options_and_arguments_are_passed_on(night: Path) -> None:
    text = f'{BASE}PROVIDER=ollama\nexport MODEL="qwen3-coder"  # small\nBASE_URL=http://host:1 # there\n'
    text += "MAX_INSTANCES=20\nMAX_WORKERS=3\nLANGUAGE=python,go\nINSTANCES='a,b'\n"
    assert run(night, text, "--iterations", "2", "--notify", "command:say it").returncode == 0
    assert said(night)[1] == (
        "bench s --output out --ollama-endpoint http://host:1 --model ollama:qwen3-coder --limit 20 --workers 3 "
        "--group python,go --tasks a,b --iterations 2 --notify command:say it"
    )
    assert said(night)[2] == "report out"


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("anthropic\nMODEL=m", "PROVIDER=anthropic needs ANTHROPIC_API_KEY or LLM_API_KEY"),
        ("openai\nMODEL=m", "PROVIDER=openai without BASE_URL needs OPENAI_API_KEY or LLM_API_KEY"),
        ("openai\nBASE_URL=http://host", "PROVIDER=openai needs MODEL"),
        ("ollama\nLLM_API_KEY=k", "PROVIDER=ollama needs MODEL"),
        ("", "without ARMS a bench needs PROVIDER"),
    ],
)
def test_what_the_provider_needs_is_asked_for_by_name(night: Path, provider: str, missing: str) -> None:
    done = run(night, f"{BASE}PROVIDER={provider}\n")
    assert done.returncode == 2 and missing in done.stderr and not (night / "said").exists()


@pytest.mark.parametrize(
    "provider", ["ollama\nMODEL=m", "openai\nMODEL=m\nBASE_URL=http://host", "claude-code", "codex", "mine"]
)
def test_no_key_is_asked_for_that_the_provider_can_do_without(night: Path, provider: str) -> None:
    assert run(night, f"{BASE}PROVIDER={provider}\n").returncode == 0


def test_the_key_that_is_asked_for_is_the_key_that_is_passed_on(night: Path) -> None:
    assert run(night, f"{BASE}PROVIDER=anthropic\nMODEL=m\nLLM_API_KEY=k1\n").returncode == 0
    assert said(night)[0] == "key=k1"


def test_arms_need_neither_provider_nor_model(night: Path) -> None:
    assert run(night, f"{BASE}ARMS=a,b\n").returncode == 0
    assert said(night)[1] == "bench s --output out --arms a,b"


def test_results_that_are_there_are_gone_on_with(night: Path) -> None:
    run(night, f"{BASE}PROVIDER=mine\n", "--iterations", "2")
    done = run(night, f"{BASE}PROVIDER=mine\nMAX_WORKERS=4\n", "--iterations", "2", "--max-hours", "3", "--watch")
    assert said(night)[4] == "bench --resume out --workers 4 --max-hours 3 --watch"
    assert "without: --iterations 2" in done.stderr


def test_a_resume_finds_the_key_and_the_endpoint_of_the_provider_too(night: Path) -> None:
    text = f"{BASE}PROVIDER=anthropic\nMODEL=m\nLLM_API_KEY=k1\n"
    run(night, text)
    run(night, text)
    assert said(night)[3:5] == ["key=k1", "bench --resume out"]
    run(night, f"{BASE}PROVIDER=ollama\nMODEL=m\nBASE_URL=http://host:1\n", "--ollama-endpoint", "http://host:2")
    assert said(night)[7] == "bench --resume out --ollama-endpoint http://host:1 --ollama-endpoint http://host:2"


def test_the_exit_code_is_that_of_the_bench_and_the_report_is_written_all_the_same(night: Path) -> None:
    done = run(night, f"{BASE}PROVIDER=mine\n", BENCH_EXIT="130")
    assert done.returncode == 130 and said(night)[-1] == "report out"


def test_evaluate_verifies_once_more_and_the_environment_comes_first(night: Path) -> None:
    assert run(night, f"{BASE}PROVIDER=mine\nEVALUATE=1\nEVAL_MAX_WORKERS=2\n", PROVIDER="other").returncode == 0
    assert said(night)[1].endswith("--model other")
    assert said(night)[3:] == ["bench --resume out --regrade --workers 2", "report out"]


def test_nothing_in_the_env_file_is_run(night: Path) -> None:
    run(night, f"{BASE}PROVIDER=$(touch {night}/pwned)\nX=`touch {night}/pwned`\ntouch {night}/pwned\n")
    assert not (night / "pwned").exists()


WAITING = """#!/bin/sh
echo "$1" >> said
[ "$1" = bench ] || exit 0
mkdir -p out; touch out/journal.jsonl
trap 'echo told >> said; sleep 0.3; exit 130' INT
while :; do sleep 0.1; done
"""


@contextmanager
def under_way(night: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The script in a group of its own, its bench begun."""
    (night / "bin/autoloop").write_text(WAITING)
    (night / ".env").write_text(f"{BASE}PROVIDER=mine\n")
    env = {"PATH": f"{night}/bin:{os.environ['PATH']}"}
    script = subprocess.Popen(["bash", str(night / "run_nightly.sh")], cwd="/", env=env, start_new_session=True)
    try:
        until = time.monotonic() + 10
        while not (night / "out/journal.jsonl").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        yield script
    finally:
        with suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_script_ends_the_bench_once_and_gets_the_report(night: Path, sign: signal.Signals) -> None:
    with under_way(night) as script:
        script.send_signal(sign)
        assert script.wait(10) == 130
    assert said(night) == ["bench", "told", "report"]


def test_an_end_from_the_terminal_reaches_the_bench_once(night: Path) -> None:
    """A terminal tells every process in the foreground: the script, and what it has there."""
    with under_way(night) as script:
        os.killpg(script.pid, signal.SIGINT)
        assert script.wait(10) == 130
    assert said(night) == ["bench", "told", "report"]
