#!/usr/bin/env bash
# One night of a suite: reads .env, checks what the chosen provider needs, begins a bench or goes on with tonight's,
# writes the report, and ends with the exit code of the bench.
#
#   cp .env.example .env        set SUITE, PROVIDER, MODEL
#   ./run_nightly.sh [options of `autoloop bench`, such as --iterations 3 --notify desktop]
#
# Variables, and units for cron and systemd: docs/nightly.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

complain() { # WHAT HINT
    printf 'run_nightly: %s\n  %s\n' "$1" "$2" >&2
    exit 2
}

load() { # FILE: KEY=VALUE lines; the environment comes before them, and nothing in them is run
    local line name value
    while IFS= read -r line || [[ -n $line ]]; do
        line=${line%$'\r'}
        [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z_0-9]*)[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
        name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
        if [[ $value =~ ^\"([^\"]*)\" || $value =~ ^\'([^\']*)\' ]]; then
            value=${BASH_REMATCH[1]}
        else
            [[ $value != \#* ]] || value=
            value=${value%%[[:space:]]\#*}
            value=${value%"${value##*[![:space:]]}"}
        fi
        [[ -n ${!name+set} ]] || export "$name=$value"
    done <"$1"
}

needs() { # PURPOSE NAME...: one of these variables has to be set
    local purpose=$1 name
    shift
    for name in "$@"; do
        [[ -z ${!name:-} ]] || return 0
    done
    complain "$purpose needs $(printf '%s' "$1")$([[ $# -lt 2 ]] || printf ' or %s' "${@:2}"), which is not set" "Set it in .env or in the environment."
}

offer() { # TARGET VALUE: fill a variable that the provider reads, where it is empty
    [[ -n ${!1:-} || -z $2 ]] || export "$1=$2"
}

provide() { # what the provider reads: its key and its address
    case ${PROVIDER:-} in
    anthropic | claude | claude-code)
        offer ANTHROPIC_API_KEY "${LLM_API_KEY:-}"
        offer ANTHROPIC_BASE_URL "${BASE_URL:-}"
        ;;
    openai)
        offer OPENAI_API_KEY "${LLM_API_KEY:-}"
        offer OPENAI_BASE_URL "${BASE_URL:-}"
        ;;
    ollama) [[ -z ${BASE_URL:-} ]] || words+=(--ollama-endpoint "$BASE_URL") ;;
    codex) offer CODEX_API_KEY "${LLM_API_KEY:-}" ;;
    esac
}

solver() { # what `autoloop bench` is told of the model
    if [[ -n ${ARMS:-} ]]; then
        words+=(--arms "$ARMS")
        return
    fi
    needs "without ARMS a bench" PROVIDER
    case $PROVIDER in
    anthropic)
        needs "PROVIDER=anthropic" MODEL
        needs "PROVIDER=anthropic" ANTHROPIC_API_KEY LLM_API_KEY
        ;;
    openai)
        needs "PROVIDER=openai" MODEL
        [[ -n ${OPENAI_BASE_URL:-} ]] || needs "PROVIDER=openai without BASE_URL" OPENAI_API_KEY LLM_API_KEY
        ;;
    ollama) needs "PROVIDER=ollama" MODEL ;;
    esac
    words+=(--model "$PROVIDER${MODEL:+:$MODEL}")
}

resumable() { # what a resume may be told; the rest stands in the bench's config.json
    local left=()
    while (($#)); do
        case $1 in
        --workers | --max-hours | --group-hours | --max-cost-usd | --max-tokens | --max-rpm | --min-free-gb | --notify | --env-file | --ollama-endpoint)
            words+=("$1" "${@:2:1}")
            shift
            ;;
        --workers=* | --max-hours=* | --group-hours=* | --max-cost-usd=* | --max-tokens=* | --max-rpm=* | --min-free-gb=*) words+=("$1") ;;
        --notify=* | --notify-each | --env-file=* | --ollama-endpoint=* | --no-preflight | --watch | --json) words+=("$1") ;;
        *) left+=("$1") ;;
        esac
        (($#)) && shift
    done
    ((${#left[@]} == 0)) || printf 'run_nightly: a resume goes on with what the bench began with, without: %s\n' "${left[*]}" >&2
}

carry() { # autoloop's words: in a group of its own, so that an end of this script reaches it once, from here
    local job told code last
    set -m
    autoloop "$@" </dev/null &
    job=$!
    set +m
    trap 'told=1; kill -INT "$job" 2>/dev/null' INT TERM
    while told=; do
        code=0
        wait "$job" || code=$?
        [[ -n $told ]] && kill -0 "$job" 2>/dev/null || break
    done
    if [[ -n $told ]]; then # the wait was cut short, not the bench; 127 is one that told us already
        last=0
        wait "$job" 2>/dev/null || last=$?
        ((last == 127)) || code=$last
    fi
    trap - INT TERM
    return "$code"
}

[[ -f .env ]] || complain "there is no .env in $PWD" "Copy .env.example to .env, and fill it in."
load .env
command -v autoloop >/dev/null || complain "autoloop is not to be found" "Install it, or put its directory into PATH."

output=${OUTPUT_DIR:-results/$(date +%Y%m%d)}
words=()
if [[ -f $output/journal.jsonl ]]; then
    echo "run_nightly: going on with $output" >&2
    words=(--resume "$output")
    provide
    [[ -z ${MAX_WORKERS:-} ]] || words+=(--workers "$MAX_WORKERS")
    resumable "$@"
else
    needs "a bench" SUITE
    words=("$SUITE" --output "$output")
    provide
    solver
    [[ -z ${MAX_INSTANCES:-} ]] || words+=(--limit "$MAX_INSTANCES")
    [[ -z ${MAX_WORKERS:-} ]] || words+=(--workers "$MAX_WORKERS")
    [[ -z ${LANGUAGE:-} ]] || words+=(--group "$LANGUAGE")
    [[ -z ${INSTANCES:-} ]] || words+=(--tasks "$INSTANCES")
    words+=("$@")
fi

code=0
carry bench "${words[@]}" || code=$?
if [[ -f $output/journal.jsonl ]]; then
    case ${EVALUATE:-} in
    "" | 0 | no | false) ;;
    *) carry bench --resume "$output" --regrade ${EVAL_MAX_WORKERS:+--workers "$EVAL_MAX_WORKERS"} || echo "run_nightly: the work could not be verified again" >&2 ;;
    esac
    autoloop report "$output" || echo "run_nightly: there is no report" >&2
fi
exit "$code"
