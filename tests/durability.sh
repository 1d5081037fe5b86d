#!/usr/bin/env bash
# What the tests show in short, at length: kills at random moments of a run that checkpoints at every step, of an extraction of codes in
# both layouts, and a disk that is full for a while. Each must end with the same bytes as an uninterrupted run.
#
#   dotnet build -c Release bench/NextPatch.Benchmarks && dotnet build -c Release src/NextPatch.Cli && tests/durability.sh [kills=50] [seed=1]
#
# The disk is a tmpfs of 8 MiB in a mount namespace of its own (unshare --map-root-user --mount; needs no rights where user namespaces
# are allowed, and is left out where they are not).
set -euo pipefail
kills=${1:-50}
RANDOM=${2:-1}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=(dotnet "$PWD/artifacts/bin/NextPatch.Cli/release/nextpatch.dll")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1

# A numpy file: element type, shape, then the data from stdin.
npy() {
  local header="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
  cat
}

make_codes() {
  mkdir "$1"
  echo '{"formatVersion":1,"name":"tiny","augmentations":1,"gridSide":4,"vocabularySize":8,"classNames":["a","b"],"count":40,"heldOutCount":8}' >"$1/dataset.json"
  for ((i = 0; i < 640; i++)); do printf "\\x$((i * 7 % 8))\\x0"; done | npy '<u2' '40, 1, 16' >"$1/codes.npy"
  for ((i = 0; i < 40; i++)); do printf "\\x$((i % 2))\\x0\\x0\\x0"; done | npy '<i4' '40,' >"$1/labels.npy"
}

train() {
  local run=$1
  shift
  exec "${program[@]}" train --codes "$work/codes" --output "$run" --resume --preset tiny --batch-size 8 --seed 3 --log-every 10 "$@"
}

sums() { (cd "$1/$(<"$1/latest")" && sha256sum model.safetensors ema.safetensors optimizer.safetensors); }

same() {
  local lines
  [[ $(sums "$1") == "$(sums "$2")" ]] || { echo "FAILED: $1 and $2 end with other bytes" >&2; exit 1; }
  lines=$(grep -o '"step":[0-9]*' "$2/metrics.jsonl" | cmp - <(grep -o '"step":[0-9]*' "$1/metrics.jsonl") 2>&1) || { echo "FAILED: $2/metrics.jsonl: $lines" >&2; exit 1; }
}

# A random moment for odd kills, the middle of writing a checkpoint for even ones.
kill_runs() {
  local run=$work/killed half=0 done=0 k pid
  for ((k = 1; k <= kills; k++)); do
    train "$run" --steps "$steps" --checkpoint-every 1 2>>"$work/killed.log" &
    pid=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    if ((k % 2 == 0)); then
      until compgen -G "$run/.writing-step-*" >/dev/null || ! kill -0 $pid 2>/dev/null; do :; done
    fi
    kill -9 $pid 2>/dev/null || done=$((done + 1))
    wait $pid 2>/dev/null || true
    ! compgen -G "$run/.writing-step-*" >/dev/null || half=$((half + 1))
  done
  echo "kills: $((kills - done)), of which $half left a half-written checkpoint; then at $(<"$run/latest")"
  (train "$run" --steps "$steps" --checkpoint-every 0 2>>"$work/killed.log")
  ! compgen -G "$run/.[wr]*-step-*" >/dev/null || { echo "FAILED: half-written checkpoints stayed" >&2; exit 1; }
  ! grep -q 'damaged\|defect' "$work/killed.log" || { cat "$work/killed.log" >&2; exit 1; }
}

fill_disk() {
  local disk=$work/disk pid
  mkdir "$disk"
  mount -t tmpfs -o size=8m tmpfs "$disk"
  train "$disk/run" --steps "$steps" --checkpoint-every 20 --keep-last 2 2>"$work/disk.log" &
  pid=$!
  until [[ -f $disk/run/latest ]]; do sleep 0.02; done
  head -c 8m /dev/zero >"$disk/filler" 2>/dev/null || true
  until grep -q 'metrics.jsonl cannot be written' "$work/disk.log"; do sleep 0.02; done
  until (($(grep -c 'could not be written' "$work/disk.log") > 3)); do sleep 0.02; done
  "${verify[@]}" "$disk/run/$(<"$disk/run/latest")"
  rm "$disk/filler"
  wait $pid
  grep -c 'could not be written' "$work/disk.log" | sed 's/$/ checkpoints did not fit; the old one stayed whole/'
  same "$work/whole" "$disk/run"

  train "$disk/stops" --steps "$steps" --checkpoint-every 20 --on-full-disk stop 2>"$work/stop.log" &
  pid=$!
  until [[ -f $disk/stops/latest ]]; do sleep 0.02; done
  head -c 8m /dev/zero >"$disk/filler" 2>/dev/null || true
  ! wait $pid || { echo "FAILED: a run without room did not stop" >&2; exit 1; }
  "${verify[@]}" "$disk/stops/$(<"$disk/stops/latest")"
  grep 'could not be written' "$work/stop.log"
}

# Images of noise in 3 classes.
make_images() {
  local i
  for ((i = 0; i < 3000; i++)); do
    mkdir -p "$1/$((i % 3))"
    { printf 'P6\n32 32\n255\n'; head -c 3072 /dev/urandom; } >"$1/$((i % 3))/$i.ppm"
  done
}

encode() {
  exec "${program[@]}" encode --images "$work/images" --tokenizer "$work/tokenizer" --crops ten --held-out 0.1 "$@"
}

kill_encodes() {
  local layout=$1 killed=0 pid
  (encode --layout "$layout" --output "$work/encoded-$layout" 2>/dev/null >/dev/null)
  until [[ -f $work/killed-$layout/dataset.json ]]; do
    encode --layout "$layout" --output "$work/killed-$layout" 2>/dev/null >/dev/null &
    pid=$!
    sleep "$((5 + RANDOM % 5)).$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null || true
  done
  (encode --layout "$layout" --output "$work/killed-$layout" 2>/dev/null >/dev/null) # a kill may have fallen between two names
  diff -r "$work/encoded-$layout" "$work/killed-$layout" || { echo "FAILED: $layout codes end with other bytes" >&2; exit 1; }
  echo "encode --layout $layout: killed $killed times, the same bytes"
}

verify=(bash -c 'cd "$0" && sha256sum --quiet --check SHA256SUMS')
steps=$((kills * 40))
make_codes "$work/codes"
(train "$work/whole" --steps "$steps" --checkpoint-every 0 2>"$work/whole.log") || { cat "$work/whole.log" >&2; exit 1; }
kill_runs
same "$work/whole" "$work/killed"
echo "the killed run ends with the bytes of the uninterrupted one"
make_images "$work/images"
dotnet artifacts/bin/NextPatch.Benchmarks/release/NextPatch.Benchmarks.dll make-tokenizer --output "$work/tokenizer"
kill_encodes store
kill_encodes published
if unshare --map-root-user --mount true 2>/dev/null; then
  export -f fill_disk train same sums
  export work steps
  unshare --map-root-user --mount bash -euo pipefail -c "$(declare -p program verify); fill_disk"
  echo "the run on the full disk ends with the bytes of the uninterrupted one"
else
  echo "no user namespaces here: the full disk is left out"
fi
