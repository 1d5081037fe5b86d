#!/usr/bin/env bash
# Runs on several ranks under the MPI libraries that are here (Debian: apt install openmpi-bin mpich): losses against one rank, the same bytes of all
# libraries, another number of ranks after a stop, ranks that are killed, stopped or wanted elsewhere, processes that do not find each other.
#
#   dotnet build -c Release src/NextPatch.Cli && tests/mpi.sh [kills=3] [seed=1]
#
# Says what it skips. Takes about a minute with three kills.
set -euo pipefail
kills=${1:-3}
RANDOM=${2:-1}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=(dotnet "${NEXTPATCH_CLI:-$PWD/artifacts/bin/NextPatch.Cli/release}/NextPatch.Cli.dll")
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PAUSE=0 RESTARTS=1000 DOTNET_CLI_TELEMETRY_OPTOUT=1

declare -A launch=()
! command -v mpirun.openmpi >/dev/null || launch[openmpi]="mpirun.openmpi --oversubscribe"
! command -v mpirun.mpich >/dev/null || launch[mpich]=mpirun.mpich
if ((${#launch[@]} == 0)); then
  echo "No MPI here (mpirun.openmpi, mpirun.mpich): runs on several ranks are not tested under MPI."
  exit 0
fi
for name in openmpi mpich; do [[ -n ${launch[$name]:-} ]] || echo "mpirun.$name is not here: skipped."; done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$work"/log >&2
  exit 1
}

# A numpy file: element type, shape, then the data from stdin.
npy() {
  local header="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
  cat
}
mkdir "$work/codes"
echo '{"formatVersion":1,"name":"tiny","augmentations":1,"gridSide":4,"vocabularySize":8,"classNames":["a","b"],"count":40,"heldOutCount":8}' >"$work/codes/dataset.json"
for ((i = 0; i < 640; i++)); do printf "\\x$((i * i % 7))\\x0"; done | npy '<u2' '40, 1, 16' >"$work/codes/codes.npy"
for ((i = 0; i < 40; i++)); do printf "\\x$((i % 2))\\x0\\x0\\x0"; done | npy '<i4' '40,' >"$work/codes/labels.npy"

# train FOLDER STEPS [options]
train() {
  local run=$1 steps=$2
  shift 2
  echo train --codes "$work/codes" --output "$run" --resume --preset tiny --batch-size 8 --seed 3 --log-every 1 --precision fp32 \
    --dropout 0.1 --lr 1e-3 --steps "$steps" "$@"
}

# start KIND RANKS ARGUMENTS...: in this process, so that it can be replaced by exec; output to log
start() {
  local kind=$1 ranks=$2
  shift 2
  # shellcheck disable=SC2086 # words of the launcher
  ${launch[$kind]} -n "$ranks" "${program[@]}" "$@" >"$work/log" 2>&1
}

losses() { sed -n 's/^{"step":\([0-9]*\),.*"loss":\([0-9.eE+-]*\),"learningRate.*/\1 \2/p' "$1/metrics.jsonl"; }
sums() { (cd "$1/$(<"$1/latest")" && sha256sum -- *.safetensors); }

# What is compared, two runs, the largest difference of their losses, how many steps they have.
near() {
  join <(losses "$2" | sort) <(losses "$3" | sort) | awk -v what="$1" -v most="$4" -v steps="$5" '
    { d = $2 - $3; if (d < 0) d = -d; if (d > worst) worst = d; n++ }
    END { printf "%s: %d steps, losses differ by at most %.1e\n", what, n, worst; exit !(n == steps && worst <= most) }' || fail "$1"
}

"${program[@]}" $(train "$work/one" 40) >"$work/log" 2>&1 || fail "one rank"
first=
for kind in "${!launch[@]}"; do
  start "$kind" 2 $(train "$work/two-$kind" 40) || fail "two ranks under $kind"
  near "$kind, 2 ranks against one" "$work/one" "$work/two-$kind" 1e-4 40
  [[ -z $first || $(sums "$work/two-$first") == "$(sums "$work/two-$kind")" ]] || fail "$first and $kind end with other bytes"
  [[ -z $first ]] || echo "$first and $kind: the same bytes"
  first=$kind
done
kind=$first
start "$kind" 4 $(train "$work/four" 40) || fail "four ranks"
near "$kind, 4 ranks against one" "$work/one" "$work/four" 1e-4 40

# Told to stop by signal, again on another number of ranks: rank pids are those whose parent started them.
ranks_of() { pgrep -f "^dotnet .*--output $1 " || true; }
stop_after() { # FOLDER STEPS PID: waits until the run has logged so many
  until [[ -f $1/metrics.jsonl ]] && (($(wc -l <"$1/metrics.jsonl") >= $2)); do
    kill -0 "$3" 2>/dev/null || fail "$1 ended before step $2"
    sleep 0.05
  done
}
for ranks in 4 2 1; do
  code=0
  if ((ranks > 1)); then
    start "$kind" $ranks $(train "$work/parts" 600 --checkpoint-every 0) &
    pid=$!
    stop_after "$work/parts" $(((5 - ranks) * 60)) $pid
    kill -USR1 "$(ranks_of "$work/parts" | sort -n | tail -1)"
    wait $pid || code=$?
    [[ $code == 75 ]] || fail "a run on $ranks ranks that was told to stop ended with $code instead of 75"
  else
    "${program[@]}" $(train "$work/parts" 600) >"$work/log" 2>&1 || fail "the rest on one rank"
  fi
done
"${program[@]}" $(train "$work/whole" 600) >"$work/log" 2>&1 || fail "the whole on one rank"
# Rounding grows over 600 steps, the more the earlier the run changes ranks.
near "stopped by SIGUSR1 on 4 ranks, then on 2, ended on 1" "$work/whole" "$work/parts" 5e-3 600

# Killed ranks: the restart wrapper starts the run again; it ends with the bytes of one that nobody killed.
steps=$((kills * 150))
start "$kind" 3 $(train "$work/unharmed" $steps --checkpoint-every 0) || fail "three ranks"
launcher=${launch[$kind]}
# shellcheck disable=SC2086
deploy/restart.sh $launcher -n 3 "${program[@]}" $(train "$work/killed" $steps --checkpoint-every 20) >"$work/log" 2>&1 &
pid=$!
killed=0
for ((k = 0; k < kills; k++)); do
  before=$([[ ! -f $work/killed/latest ]] || cat "$work/killed/latest")
  until [[ -f $work/killed/latest && $(<"$work/killed/latest") != "$before" ]] || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
  sleep "0.$((RANDOM % 10))"
  mapfile -t victims < <(ranks_of "$work/killed")
  ((${#victims[@]} == 0)) || kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null && killed=$((killed + 1))
done
wait $pid || fail "the run that was killed"
[[ $(sums "$work/unharmed") == "$(sums "$work/killed")" ]] || fail "a run whose ranks were killed ends with other bytes"
echo "$killed kills of a random rank of 3, $(grep -c 'starting again' "$work/log") restarts: the same bytes"

for kind in "${!launch[@]}"; do
  # A rank that hangs: the others wait as long as they are told to, and say for whom.
  start "$kind" 3 $(train "$work/hang-$kind" 1000000 --checkpoint-every 0 --rank-timeout 10) &
  pid=$!
  stop_after "$work/hang-$kind" 20 $pid
  victim=$(ranks_of "$work/hang-$kind" | sort -n | tail -1)
  kill -STOP "$victim"
  code=0
  wait $pid || code=$?
  # One name, not two: the rank that waits for the stopped one is innocent.
  [[ $code == 75 ]] && grep -q 'Rank [12] did not come to' "$work/log" || fail "a stopped rank under $kind was not named (exit code $code)"
  echo "$kind: $(grep -o "Rank [12] did not come to .* within 10 s" "$work/log")"
done

# Processes that do not find each other: those of one MPI with the library of the other.
if ((${#launch[@]} == 2)); then
  other=$(ldconfig -p | awk '/libmpi\.so\.40 / && !n++ { print $NF }') # read to its end: with pipefail, ldconfig must not be cut off
  code=0
  start mpich 2 $(train "$work/alone" 5 --mpi-library "$other") || code=$?
  [[ $code == 1 ]] && grep -q 'started 2 processes, but .* sees 1' "$work/log" || fail "processes that do not find each other were not refused"
  [[ ! -d $work/alone ]] || fail "they wrote a run"
  echo "2 processes that do not find each other are refused"
fi

# Other options on one rank.
printf '#!/bin/sh\nexec "$@" --seed $((PMI_RANK + OMPI_COMM_WORLD_RANK))\n' >"$work/seed.sh"
chmod +x "$work/seed.sh"
code=0
# shellcheck disable=SC2046,SC2086
${launch[$kind]} -n 2 "$work/seed.sh" "${program[@]}" $(train "$work/differ" 5 | sed 's/--seed 3//') >"$work/log" 2>&1 || code=$?
[[ $code == 1 ]] && grep -q 'Rank 1 has other settings than rank 0' "$work/log" || fail "other options on a rank were not refused"
echo "other options on a rank are refused"
