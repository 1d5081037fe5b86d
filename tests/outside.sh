#!/usr/bin/env bash
# Builds programs outside the checkout on nothing but our packages, as a .NET developer would, and installs the tool.
#   tests/outside.sh [QUICKSTART]     a folder that `nextpatch quickstart` wrote (model/, tokenizer/); without one it makes a small one
# Needs the .NET SDK and the package sources of this machine. Ends with exit code 0, or with the sentence that says what is wrong.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(dirname "$here")
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en

work="$(mktemp -d)/out side ü"
mkdir -p "$work/packages"
trap 'rm -rf "$(dirname "$work")"' EXIT
fail() { echo "outside: $*" >&2; exit 1; }
step() { echo "outside: $* ($SECONDS s)"; }

rm -rf "$checkout/artifacts/package/release"
dotnet pack -c Release -v quiet "$checkout/NextPatch.slnx" >"$work/pack.log" 2>&1 || { cat "$work/pack.log"; fail "dotnet pack failed"; }
for id in '' .Core .Kernels .Cpu .Data .Torch .Training .Evaluation .Extensions.AI .Cli; do
  package=$(echo "$checkout/artifacts/package/release/NextPatch$id".[0-9]*.nupkg)
  [[ -f $package ]] || fail "NextPatch$id was not packed"
  (($(stat -c %s "$package") < 60000000)) || fail "$package is larger than 60 MB"
done
version=$(basename "$package" .nupkg) version=${version#NextPatch.Cli.}
step "packed $version"

if (($# == 0)); then
  dotnet run -c Release --no-build --project "$checkout/src/NextPatch.Cli" -- quickstart --minutes 1 --output "$work/quickstart" >/dev/null
  set -- "$work/quickstart"
fi
model=$(cd "$1" && pwd)

# A package cache of its own, which shares everything but our packages: those of the same version in the usual one would be older.
cache=$(dotnet nuget locals global-packages --list | sed 's/^[^:]*: //')
export NUGET_PACKAGES="$work/packages" # without a trailing slash, on purpose
for folder in "${cache%/}"/*/; do
  [[ $(basename "$folder") == nextpatch* ]] || ln -s "${folder%/}" "$NUGET_PACKAGES/"
done

# create NAME REFERENCES: a console project in an empty folder.
create() {
  mkdir -p "$work/$1" && cd "$work/$1"
  cp "$here"/Outside/*.cs .
  cat >nuget.config <<END
<configuration><packageSources><add key="nextpatch" value="$checkout/artifacts/package/release" /></packageSources></configuration>
END
  cat >app.csproj <<END
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable></PropertyGroup>
  <ItemGroup>$2</ItemGroup>
</Project>
END
}

# runs PROGRAM: draws two images and says that its TorchSharp is safe.
runs() {
  rm -f 0.png 1.png
  "$@" "$model/model" "$model/tokenizer" || fail "$* failed"
  [[ -s 0.png && -s 1.png ]] || fail "$* drew no images"
}

is_safe() { cmp -s "$checkout/artifacts/torchsharp/TorchSharp.dll" "$1/TorchSharp.dll" || fail "$1 holds another TorchSharp.dll than the edited one"; }

package() { echo "<PackageReference Include=\"$1\" Version=\"$2\" />"; }
packages="$(package NextPatch "$version")$(package NextPatch.Torch "$version")"

create app "$packages"
dotnet build -c Release -v quiet
is_safe bin/Release/net10.0
size=$(du -sm bin/Release/net10.0 | cut -f1)
((size < 40)) || fail "the output has $size MB"
natives=$(find bin/Release/net10.0 -name '*SkiaSharp.*' ! -name '*.dll' | wc -l)
((natives == 1)) || fail "$natives native files of SkiaSharp instead of one"
step "built, $size MB"
runs bin/Release/net10.0/app
step "ran"

dotnet publish -c Release -r linux-x64 --no-self-contained -p:PublishSingleFile=true -v quiet -o "$work/published"
[[ -f $work/published/libtorch/linux-x64/libtorch_cpu.so && ! -e $work/published/libtorch.path ]] || fail "the publish does not carry libtorch"
runs "$work/published/app"
step "published as a single file and ran"

# The same copy also where the program references TorchSharp itself, by packages above, and from the sources.
create direct "$packages$(package TorchSharp 0.107.0)"
dotnet build -c Release -v quiet
is_safe bin/Release/net10.0
create above "$(package NextPatch "$version")$(package NextPatch.Training "$version")"
cp "$here"/Outside/Training/*.cs .
dotnet build -c Release -v quiet
is_safe bin/Release/net10.0
create sources "$(for name in NextPatch NextPatch.Torch; do echo "<ProjectReference Include=\"$checkout/src/$name/$name.csproj\" />"; done)
  <Reference Include=\"TorchSharp\" HintPath=\"$checkout/artifacts/torchsharp/TorchSharp.dll\" />"
NUGET_PACKAGES=$cache dotnet build -c Release -v quiet
is_safe bin/Release/net10.0
runs bin/Release/net10.0/app
step "other ways to reference"

cd "$work"
cp "$work/app/nuget.config" .
dotnet tool install NextPatch.Cli --version "$version" --tool-path "$work/tools" >/dev/null
export XDG_DATA_HOME="$work/data"
tool=$work/tools/nextpatch
"$tool" --help >/dev/null
! "$tool" doctor >doctor.txt || fail "the tool found a libtorch that it does not carry"
grep -q -e --get-libtorch doctor.txt || fail "doctor does not say how to get libtorch"
"$tool" info "$model/model" >/dev/null
"$tool" plan --preset tiny --flops-per-second 1e11 >/dev/null
"$tool" convert "$model/model" converted.safetensors >/dev/null
"$tool" doctor --get-libtorch >/dev/null
"$tool" sample --model "$model/model" --count 1 --output drawn >/dev/null
step "the tool"
git -C "$checkout" diff --quiet -- '*packages.lock.json' || fail "a lock file of the checkout changed"
