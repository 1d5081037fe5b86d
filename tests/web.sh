#!/usr/bin/env bash
# The server before real clients: npm's openai (tests/web/clients.mjs, prompts.mjs), and the page in Chromium (tests/web/page.mjs), with the model that
# ships and with one of prompts, trained for some steps. Needs a built program, Node 18 or later with npm, and for the page Chromium (Debian: apt install
# nodejs npm chromium); says what it skips.
#   tests/web.sh [SCREENSHOTS]     a folder for screenshots of the page
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program="$here/../artifacts/bin/NextPatch.Cli/release/nextpatch"
api="$here/../artifacts/bin/web-api/release/web-api"
skip() { echo "web: skipped: $*"; exit 0; }
command -v node >/dev/null && command -v npm >/dev/null || skip "Node or npm is not there"
[[ -x $program ]] || { echo "web: build first: dotnet build -c Release" >&2; exit 1; }
dotnet build -c Release -v q --nologo "$here/../samples/web-api" # no test needs it, so 'dotnet test' does not build it
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)

work=$(mktemp -d)
server=''
# Ends the server that this script started, by its id.
finish() { [[ -z $server ]] || { kill "$server" 2>/dev/null; wait "$server" || true; }; rm -rf "$work"; }
trap finish EXIT
cp "$here"/web/* "$work/"
(cd "$work" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-package-lock --no-audit --no-fund --silent) \
  || skip "npm could not install openai and playwright-core"

start() {
  : >"$work/url"
  "$program" serve --urls http://127.0.0.1:0 "$@" >"$work/url" 2>"$work/log" &
  server=$!
  for ((i = 0; i < 300; i++)); do
    [[ -s $work/url ]] && curl -fs "$(cat "$work/url")/readyz" >/dev/null && return
    sleep 0.1
  done
  cat "$work/log" >&2
  return 1
}
# As Ctrl+C, which bash keeps from its background jobs: requests finish, exit code 0.
stop() { kill -TERM "$server"; wait "$server"; server=''; }

# draws PATH REFUSED OPTIONS...: samples/web-api gives at PATH, with the model of OPTIONS, the file that 'sample' draws, and answers 400 at REFUSED.
draws() {
  local path=$1 refused=$2 url=''
  shift 2
  rm -rf "$work/drawn"
  "$program" sample "$@" --seed 7 --count 1 --output "$work/drawn" >"$work/log" 2>&1
  local model=()
  [[ $1 != --model ]] || model=("$1" "$2")
  ASPNETCORE_URLS=http://127.0.0.1:0 "$api" "${model[@]}" >"$work/log" 2>&1 &
  server=$!
  for ((i = 0; i < 300; i++)); do
    url=$(sed -n 's/.*Now listening on: //p' "$work/log")
    [[ -z $url ]] || break
    sleep 0.1
  done
  curl -fs "$url/$path?seed=7" | cmp - "$work/drawn/000000.png" || { cat "$work/log" >&2; return 1; }
  [[ $(curl -s -o "$work/refused" -w '%{http_code}' "$url/$refused") == 400 ]] || { cat "$work/log" >&2; return 1; }
  stop
  echo "web: samples/web-api draws $path and refuses $refused: $(cat "$work/refused")"
}

# A model of prompts in "$work/model", which draws noise: whatever it is asked for, only the way is looked at.
train() {
  "$program" sample --count 40 --output images
  rm images/grid.png
  for ((i = 0; i < 40; i++)); do printf '{"path": "%06d.png", "text": "a picture of number %d"}\n' $i $((i % 10)); done >captions.jsonl
  "$program" tokenizer train --images images --image-size 32 --channels 16 --codebook-size 64 --batch-size 8 --steps 20 --output tokenizer
  "$program" encode-text --captions captions.jsonl --encoder formula --output features
  "$program" encode --images images --captions captions.jsonl --tokenizer tokenizer --output codes
  "$program" train --codes codes --text-features features --preset tiny --batch-size 8 --steps 20 --output model
}

start --queue 20
node "$work/clients.mjs" "$(cat "$work/url")"
stop
echo "web: the server ended with 0"
start --api-key secret
node "$work/clients.mjs" "$(cat "$work/url")" secret
stop
draws heart unicorn --class heart
(cd "$work" && train) >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
draws a%20small%20red%20star %20 --model "$work/model" --prompt 'a small red star'
start --model "$work/model"
node "$work/prompts.mjs" "$(cat "$work/url")"
[[ -z $chromium ]] || node "$work/page.mjs" "$(cat "$work/url")" "$chromium" "${1:-$work}" prompts
stop
if [[ -n $chromium ]]; then
  start
  node "$work/page.mjs" "$(cat "$work/url")" "$chromium" "${1:-$work}"
  stop
else
  echo "web: skipped: the page, because Chromium is not there"
fi
