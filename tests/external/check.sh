#!/usr/bin/env bash
# Proves with tools that are not ours that a label printed from our ZPL holds exactly the bytes that were issued.
#
#   tests/external/check.sh [N] [--seed S] [--negative] [--labelize] [--keep FOLDER]
#
# N labels of each layout (60; with --negative 24) come from drivers/examples/zpl_samples.rs, as the session sends them.
# zpl-renderer-js draws each; zxing-cpp and dmtxread read it; the bytes, the mark of GS1 (]d2), the place and size of
# the symbol and its quiet zone are compared. zint, an encoder, draws the same code for a third opinion.
#
# --labelize  draws everything with labelize, a crate, as well; building it takes minutes. One on the PATH is used
#             without being asked for.
# --negative  spoils the labels in six ways and wants to see each spoilt one found.
# --keep      keeps tools and pictures in FOLDER and finds the tools there the next time.
#
# Needs cargo, node with npm, and python3; on Debian as root it installs dmtx-utils and zint by itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
count='' seed=1 keep='' labelize=no negative=no
while (($#)); do
    case $1 in
        --seed) seed=$2; shift ;;
        --keep) keep=$2; shift ;;
        --labelize) labelize=yes ;;
        --negative) negative=yes ;;
        [1-9]*) count=$1 ;;
        *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0"; exit 2 ;;
    esac
    shift
done
if [[ -n $keep ]]; then
    mkdir -p "$keep" && work=$(cd "$keep" && pwd)
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi

debian=()
command -v dmtxread >/dev/null || debian+=(dmtx-utils)
command -v zint >/dev/null || debian+=(zint)
if ((${#debian[@]})) && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    { apt-get -q update && apt-get -q install -y "${debian[@]}"; } >"$work/apt.log" 2>&1 || cat "$work/apt.log" >&2
fi
command -v dmtxread >/dev/null || { echo "dmtxread is missing: install dmtx-utils" >&2; exit 1; }
[[ -d $work/node_modules/zpl-renderer-js ]] ||
    npm install --prefix "$work" --no-save --no-audit --no-fund --loglevel=error zpl-renderer-js@3.4.0 >"$work/npm.log"
if [[ ! -x $work/python/bin/python ]]; then
    python3 -m venv "$work/python"
    "$work/python/bin/pip" install -q --disable-pip-version-check zxing-cpp==3.1.1 pillow numpy
fi
PATH=$work/bin:$PATH
if [[ $labelize == yes ]] && ! command -v labelize >/dev/null; then
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$work/target \
        cargo install -q --debug --root "$work" labelize --features cli
fi

# One look: draws and judges the labels in samples.jsonl, spoilt as said, or not at all for `none`.
look() {
    rm -rf "$work/$1" && mkdir "$work/$1"
    node "$here/draw.cjs" "$work" "$work/samples.jsonl" "$work/$1" "$1"
    "$work/python/bin/python" "$here/judge.py" "$work/samples.jsonl" "$work/$1" "$1"
}

if [[ $negative == yes ]]; then : "${count:=24}"; else : "${count:=60}"; fi
(cd "$here/../.." && cargo run -q --locked -p tamga-drivers --example zpl_samples -- "$count" "$seed") >"$work/samples.jsonl"
echo "$(wc -l <"$work/samples.jsonl") labels, $count of each layout, seed $seed"
if [[ $negative == no ]]; then
    look none
else
    failed=0
    for damage in escape fnc1 separator letter overlap size; do look "$damage" || failed=1; done
    exit "$failed"
fi
