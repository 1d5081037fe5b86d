#!/usr/bin/env bash
# The tests of the managed engine with fewer of the processor's instructions, each in a process of its own: nothing but what is there, without
# AVX-512, without AVX2, without any. Every kernel is compared with the plain one and with TorchSharp, whole models with the recorded ones.
#   dotnet build -c Release tests/NextPatch.Cpu.Tests && tests/widths.sh [arguments of the test program]
set -u
tests="$(dirname "$0")/../artifacts/bin/NextPatch.Cpu.Tests/release/NextPatch.Cpu.Tests"
failed=0
for setting in NEXTPATCH_ALL=1 "DOTNET_EnableAVX512F=0 DOTNET_EnableAVX512=0" DOTNET_EnableAVX2=0 DOTNET_EnableHWIntrinsic=0; do
    # shellcheck disable=SC2086 # a setting may be two
    summary=$(env $setting "$tests" -noColor "$@" 2>&1) || failed=1
    echo "$setting: $(echo "$summary" | grep -E '^ *NextPatch.Cpu.Tests +Total' | sed 's/^ *//')"
    echo "$summary" | grep -E '\[FAIL\]|^Error' || true
done
exit $failed
