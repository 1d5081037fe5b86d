#!/usr/bin/env bash
# Starts a run again when a rank was lost or the machine was wanted by others, from its last checkpoint:
#   RESTARTS=20 deploy/restart.sh mpirun -n 8 nextpatch train --codes codes --output run --resume [...]
# Not when it is done (exit code 0), failed in a way that would come again (1: codes, weights, divergence; 2: options), or was stopped by Ctrl+C (130).
# RESTARTS: how often at most [20]. PAUSE: seconds before each [5].
set -uo pipefail
[[ " $* " == *" --resume "* ]] || { echo "restart.sh: add --resume to the command, or every start would be refused by the run that is there" >&2; exit 2; }
child=
for signal in TERM USR1; do
  # A scheduler that takes the machine asks once; the run ends with a checkpoint and is not started again here.
  trap 'stopped=1; [[ -z $child ]] || kill -'$signal' "$child"' $signal
done
stopped=
for ((start = 0; ; start++)); do
  "$@" &
  child=$!
  wait "$child"
  code=$?
  while kill -0 "$child" 2>/dev/null; do # a trap ended the wait
    wait "$child"
    code=$?
  done
  case $code in
    0 | 1 | 2 | 130) exit "$code" ;;
  esac
  [[ -z $stopped ]] || exit "$code"
  ((start < ${RESTARTS:-20})) || { echo "restart.sh: ended with $code, and had been started again $start times" >&2; exit "$code"; }
  echo "restart.sh: ended with $code; starting again ($((start + 1)) of ${RESTARTS:-20})" >&2
  sleep "${PAUSE:-5}"
done
