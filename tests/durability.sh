#!/usr/bin/env bash
# What the tests show in short, at length: kills of runs that checkpoint at every step, of an extraction of codes in both layouts, and a disk
# that is full for a while. Each must end with the same bytes as an uninterrupted run.
#
#   dotnet build -c Release src/NextPatch.Cli && tests/durability.sh [kills=50] [seed=1] [section=all] [precision=auto]
#
# Sections: train, tokenizer (with a discriminator and perturbed codes), encode, disk. The precision is that of the runs that train; networks as small as these are fp32 by auto.
# The disk is a tmpfs of 8 MiB in a mount namespace of its own (unshare --map-root-user --mount; needs no rights where user namespaces
# are allowed, and is left out where they are not).
set -euo pipefail
kills=${1:-50}
RANDOM=${2:-1}
section=${3:-all}
precision=${4:-auto}
case $section in all | train | tokenizer | encode | disk) ;; *) echo "There is no section '$section'; choose all, train, tokenizer, encode or disk." >&2; exit 2 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=(dotnet "${NEXTPATCH_CLI:-$PWD/artifacts/bin/NextPatch.Cli/release}/NextPatch.Cli.dll")
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
  exec "${program[@]}" train --codes "$work/codes" --output "$run" --resume --preset tiny --batch-size 8 --seed 3 --log-every 10 --precision "$precision" --steps "$steps" "$@"
}

# Everything that a tokenizer's checkpoint can hold: average, counts of the codebook, a discriminator with batch statistics, perturbed codes.
tokenizer() {
  local run=$1
  shift
  exec "${program[@]}" tokenizer train --images "$work/images" --output "$run" --resume --image-size 24 --channels 16 --codebook-size 32 --batch-size 2 --seed 3 --precision "$precision" --steps "$steps" \
    --continuous-steps 3 --revive-every 4 --discriminator patchgan --discriminator-start 6 --adaptive-weight --perturb --perturb-images 0.5 --judged 8 --log-every 5 --validate-every 50 "$@"
}

# Every file of weights and moments of the newest checkpoint, and the tokenizer that a run leaves beside its checkpoints.
sums() {
  (cd "$1/$(<"$1/latest")" && sha256sum -- *.safetensors)
  [[ ! -f $1/model.safetensors ]] || sha256sum <"$1/model.safetensors"
}

same() {
  local lines expected
  expected=$(sums "$1")
  [[ -n $expected && $expected == "$(sums "$2")" ]] || { echo "FAILED: $1 and $2 end with other bytes" >&2; exit 1; }
  lines=$(grep -o '"step":[0-9]*' "$2/metrics.jsonl" | cmp - <(grep -o '"step":[0-9]*' "$1/metrics.jsonl") 2>&1) || { echo "FAILED: $2/metrics.jsonl: $lines" >&2; exit 1; }
}

random_pause() { sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"; }

# Whether a run has written a checkpoint since it was at $2, or is at its end.
moved_on() { [[ -f $1/latest && $(<"$1/latest") != "$2" ]] || ! kill -0 "$3" 2>/dev/null; }

# Runs "$1 FOLDER" uninterrupted, then with kills: at a random moment after the program's start, or after its first checkpoint, for odd ones;
# in the middle of writing a checkpoint for even ones.
kill_runs() {
  local start=$1 whole=$work/$1-whole run=$work/$1-killed log=$work/$1.log half=0 done=0 k pid before
  ("$start" "$whole" --checkpoint-every 0 2>"$log") || { cat "$log" >&2; exit 1; }
  for ((k = 1; k <= kills; k++)); do
    before=$([[ ! -f $run/latest ]] || cat "$run/latest")
    "$start" "$run" --checkpoint-every 1 2>>"$log" &
    pid=$!
    ((k % 4 == 1)) || until moved_on "$run" "$before" $pid; do sleep 0.01; done
    random_pause
    if ((k % 2 == 0)); then
      until compgen -G "$run/.writing-step-*" >/dev/null || ! kill -0 $pid 2>/dev/null; do :; done
    fi
    kill -9 $pid 2>/dev/null || done=$((done + 1))
    wait $pid 2>/dev/null || true
    ! compgen -G "$run/.writing-step-*" >/dev/null || half=$((half + 1))
  done
  echo "$start: killed $((kills - done)) times, of which $half left a half-written checkpoint; then at $(<"$run/latest")"
  ("$start" "$run" --checkpoint-every 0 2>>"$log") || { cat "$log" >&2; exit 1; }
  ! compgen -G "$run/.[wr]*-step-*" >/dev/null || { echo "FAILED: half-written checkpoints stayed" >&2; exit 1; }
  ! grep -q 'damaged\|defect' "$log" || { cat "$log" >&2; exit 1; }
  same "$whole" "$run"
  echo "$start: the killed run ends with the bytes of the uninterrupted one ($(<"$run/latest"): $(sums "$run" | wc -l) files)"
}

fill_disk() {
  local disk=$work/disk pid
  (train "$work/disk-whole" --checkpoint-every 0 2>"$work/disk.log") || { cat "$work/disk.log" >&2; exit 1; }
  mkdir "$disk"
  mount -t tmpfs -o size=8m tmpfs "$disk"
  train "$disk/run" --checkpoint-every 20 --keep-last 2 2>"$work/disk.log" &
  pid=$!
  until [[ -f $disk/run/latest ]]; do sleep 0.02; done
  head -c 8m /dev/zero >"$disk/filler" 2>/dev/null || true
  until grep -q 'metrics.jsonl cannot be written' "$work/disk.log"; do sleep 0.02; done
  until (($(grep -c 'could not be written' "$work/disk.log") > 3)); do sleep 0.02; done
  "${verify[@]}" "$disk/run/$(<"$disk/run/latest")"
  rm "$disk/filler"
  wait $pid
  grep -c 'could not be written' "$work/disk.log" | sed 's/$/ checkpoints did not fit; the old one stayed whole/'
  same "$work/disk-whole" "$disk/run"

  train "$disk/stops" --checkpoint-every 20 --on-full-disk stop 2>"$work/stop.log" &
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
  mkdir -p "$1"/{0,1,2}
  for ((i = 0; i < $2; i++)); do
    { printf 'P6\n32 32\n255\n'; head -c 3072 /dev/urandom; } >"$1/$((i % 3))/$i.ppm"
  done
}

encode() {
  exec "${program[@]}" encode --images "$work/images" --tokenizer "$work/tokenizer" --crops ten --held-out 0.1 "$@"
}

# A random moment of the first ten seconds after a session began; it saves every 5 s.
kill_encodes() {
  local layout=$1 whole=$work/encoded-$1 run=$work/encode-killed-$1 killed=0 k pid before
  (encode --layout "$layout" --output "$whole" 2>"$work/encode.log" >/dev/null) || { cat "$work/encode.log" >&2; exit 1; }
  for ((k = 0; k < kills; k++)); do
    before=$(stat -c %y "$run/encoding.json" 2>/dev/null || true)
    encode --layout "$layout" --output "$run" 2>"$work/encode.log" >/dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && [[ $(stat -c %y "$run/encoding.json" 2>/dev/null || true) == "$before" ]]; do sleep 0.05; done
    sleep "$((RANDOM % 10)).$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null || true
  done
  local left
  left=$(grep -o '"next": *[0-9]*' "$run/encoding.json" || true)
  (encode --layout "$layout" --output "$run" 2>"$work/encode.log" >/dev/null) || { cat "$work/encode.log" >&2; exit 1; }
  diff -r "$whole" "$run" || { echo "FAILED: $layout codes end with other bytes" >&2; exit 1; }
  echo "encode --layout $layout: killed $killed times, then at $left; the same bytes"
}

only() { [[ $section == all || $section == "$1" ]]; }

verify=(bash -c 'cd "$0" && sha256sum --quiet --check SHA256SUMS')
if only train || only disk; then make_codes "$work/codes"; fi
if only tokenizer || only encode; then make_images "$work/images" 1500; fi
steps=$((kills * 120)) # enough for all kills on a fast machine
if only train; then kill_runs train; fi
if only disk; then
  if unshare --map-root-user --mount true 2>/dev/null; then
    export -f fill_disk train same sums
    export work steps precision
    unshare --map-root-user --mount bash -euo pipefail -c "$(declare -p program verify); fill_disk"
    echo "the run on the full disk ends with the bytes of the uninterrupted one"
  else
    echo "no user namespaces here: the full disk is left out"
  fi
fi
if only tokenizer; then
  steps=$((kills * 20))
  kill_runs tokenizer
fi
if only encode; then
  "${program[@]}" tokenizer train --images "$work/images" --output "$work/tokenizer" --image-size 32 --channels 128 --codebook-size 256 --steps 1 --continuous-steps 0 2>"$work/encode.log" ||
    { cat "$work/encode.log" >&2; exit 1; }
  kill_encodes store
  kill_encodes published
fi
