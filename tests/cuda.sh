#!/usr/bin/env bash
# What a machine with an NVIDIA GPU runs: the same training on processor and GPU, twenty steps, speed, drawing, encoding, features.
#
#   dotnet build -c Release src/NextPatch.Cli -p:LibTorch=cuda && tests/cuda.sh [device=cuda] [preset=B]
#   NEXTPATCH_LIBTORCH=/opt/libtorch tests/cuda.sh          # a libtorch of PyTorch for CUDA, of the version in build/package/LibTorch.targets
#
# Says what it skips; figures go to stdout. `tests/cuda.sh cpu tiny` goes through the same steps on the processor: the script itself is tested so.
set -euo pipefail
device=${1:-cuda}
preset=${2:-B}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=(dotnet "${NEXTPATCH_CLI:-$PWD/artifacts/bin/NextPatch.Cli/release}/NextPatch.Cli.dll")
export DOTNET_CLI_TELEMETRY_OPTOUT=1

# The program is asked, not the system: its libtorch must be one for CUDA, and find the driver.
found=$("${program[@]}" doctor | sed -n 's/^Devices *\(.*\) (--device).*/\1/p' | tr -d ,) || true
if [[ $device != cpu && " $found " != *" ${device/%cuda/cuda:0} "* ]]; then
  echo "No device $device here (found: $found): nothing was run on a GPU."
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$work/log" >&2
  exit 1
}
run() { "${program[@]}" "$@" >"$work/log" 2>&1 || fail "$*"; }

# Codes of 40 images, and the pictures that the built-in model draws.
npy() {
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
  cat
}
mkdir "$work/codes"
echo '{"formatVersion":1,"name":"tiny","augmentations":1,"gridSide":4,"vocabularySize":8,"classNames":["a","b"],"count":40,"heldOutCount":8}' >"$work/codes/dataset.json"
for ((i = 0; i < 640; i++)); do printf "\\x$((i * i % 7))\\x0"; done | npy '<u2' '40, 1, 16' >"$work/codes/codes.npy"
for ((i = 0; i < 40; i++)); do printf "\\x$((i % 2))\\x0\\x0\\x0"; done | npy '<i4' '40,' >"$work/codes/labels.npy"

losses() { sed -n 's/^{"step":\([0-9]*\),.*"loss":\([0-9.eE+-]*\),"learningRate.*/\1 \2/p' "$1/metrics.jsonl"; }
near() { # WHAT RUN RUN MOST STEPS
  join <(losses "$2" | sort) <(losses "$3" | sort) | awk -v what="$1" -v most="$4" -v steps="$5" '
    { d = $2 - $3; if (d < 0) d = -d; if (d > worst) worst = d; n++ }
    END { printf "%s: %d steps, losses differ by at most %.1e\n", what, n, worst; exit !(n == steps && worst <= most) }' || fail "$1"
}
train() { # RUN DEVICE PRECISION [options]
  local out=$1 where=$2 precision=$3
  shift 3
  [[ " $* " == *" --steps "* ]] || set -- --steps 20 "$@"
  run train --codes "$work/codes" --output "$out" --preset tiny --batch-size 8 --seed 3 --log-every 1 --dropout 0.1 --lr 1e-3 \
    --step reference --device "$where" --precision "$precision" "$@"
}

train "$work/cpu" cpu fp32
for kind in "fp32 1e-4" "fp32 1e-4 --recompute" "bf16 3e-2" "fp32 3e-2 --tf32"; do
  read -r precision most more <<<"$kind"
  out="$work/$device-$precision$more"
  # shellcheck disable=SC2086 # none or one option
  train "$out" "$device" "$precision" $more
  near "$device, $precision $more, against the processor in fp32" "$work/cpu" "$out" "$most" 20
done
train "$work/parts" "$device" fp32 --steps 10
"${program[@]}" train --resume "$work/parts" --extend-to 20 --device cpu >"$work/log" 2>&1 || fail "a run that goes on on the processor"
echo "a run of $device goes on on the processor"

# Two ranks, which share the GPU because it is named by its number.
if command -v mpirun >"$work/log"; then
  share=${device/%cuda/cuda:0}
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -n 2 "${program[@]}" train \
    --codes "$work/codes" --output "$work/ranks" --preset tiny --batch-size 8 --seed 3 --log-every 1 --dropout 0.1 --lr 1e-3 --steps 20 \
    --step reference --device "$share" --precision fp32 >"$work/log" 2>&1 || fail "two ranks on $share"
  near "two ranks on $share" "$work/cpu" "$work/ranks" 1e-3 20
else
  echo "two ranks: left out, there is no mpirun"
fi

for options in "" "--recompute"; do
  # shellcheck disable=SC2086
  "${program[@]}" bench train --device "$device" --step reference --preset "$preset" --no-baseline --rounds 3 $options 2>"$work/log" | tee "$work/bench" \
    || fail "bench $options"
done
"${program[@]}" plan --preset "$preset" --recipe paper --device "$device" --no-measure 2>"$work/log" | grep -E 'Memory|micro-batch' || fail plan

run sample --count 16 --seed 5 --engine torch --output "$work/drawn-cpu"
run sample --count 16 --seed 5 --engine torch --device "$device" --output "$work/drawn"
same=0
for file in "$work"/drawn/0*.png; do cmp -s "$file" "$work/drawn-cpu/${file##*/}" && same=$((same + 1)); done || true
echo "drawing: $same of 16 pictures have the same bytes as the processor's"
((same >= 8)) || fail "drawing"

"${program[@]}" evaluate --samples "$work/drawn" --reference "$work/drawn-cpu" --device "$device" --metrics fd --json >"$work/figures" 2>"$work/log" || fail evaluate
"${program[@]}" evaluate --samples "$work/drawn" --reference "$work/drawn-cpu" --metrics fd --json >"$work/figures-cpu" 2>"$work/log" || fail evaluate
echo "features: $(grep -h '"fd"' "$work/figures-cpu" "$work/figures" | tr -d '\n')"

run tokenizer train --images "$work/drawn-cpu" --output "$work/tokenizer" --steps 20 --batch-size 4 --image-size 32 --log-every 1 --device "$device"
run encode --images "$work/drawn-cpu" --tokenizer "$work/tokenizer" --output "$work/encoded-cpu" --engine torch
run encode --images "$work/drawn-cpu" --tokenizer "$work/tokenizer" --output "$work/encoded" --device "$device" --batch-size 64
echo "codes: $(cmp -l "$work/encoded-cpu/codes.npy" "$work/encoded/codes.npy" | wc -l) of $(stat -c %s "$work/encoded/codes.npy") bytes differ from the processor's"
echo "done on $device"
