#!/usr/bin/env bash
# The gpu recipe on a bare machine with a CUDA card, PyTorch and no network, in commands of at most nine minutes each. Every one goes
# on where the last of its kind stopped, so repeat those of data and train as often as there is time.
#
#   bash runs/gpu.sh COMMAND MODEL [OUT]
#
# COMMAND makes data (held-out to measure on, and for the recipe stills, clips, lively, ends, cuts, pairs, returns, joins, stories, upright),
# or is train, or bring, or autoencoder: one from nothing, in runs/autoencoder, to be put into MODEL before any data is made. MODEL is a
# folder with autoencoder.safetensors and text.safetensors, and with transformer.safetensors to go on from. What is made lies in data/ and
# runs/ of the folder that it is called from. `bring` leaves all that has to leave the machine in OUT; on the other side
# `misora train join OUT` makes one file of the transformer.
set -euo pipefail
what=$1 model=$2 out=${3:-out}
misora() { PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" python3 -m misora "$@"; }
minutes=8
latents() { misora world "$@" --latents "$model" --device cuda --workers "$(nproc)" --minutes "$minutes"; }

case $what in
autoencoder) misora train autoencoder runs/autoencoder --recipe gpu --device cuda --minutes 5 ;; # the first call simulates its clips too
held-out) latents data/held-out --held-out --clips 512 ;;
stills) latents data/stills --mix still --seconds 0 ;;
clips) latents data/clips ;;
lively) latents data/lively --mix lively ;;
ends) latents data/ends --kinds SGGGGGGGGGGGS ;;
pairs) latents data/pairs --mix still --kinds SS --cut ;;
returns) latents data/returns --kinds SGGGGGGGGGSGG --return ;;
stories) latents data/stories --mix story ;;
cuts)
    minutes=4
    latents data/cuts --mix full --kinds SGGGGGSGGGGGG --cut
    latents data/cuts --kinds SGGGSGGGGGGGG --cut
    ;;
upright)
    minutes=4
    latents data/upright --size 96x176
    latents data/upright --mix lively --size 96x176 --seed 9000000
    ;;
joins)
    minutes=4
    latents data/joins --kinds SGGGGGGGSGGGG
    latents data/joins --mix lively --kinds SGGGGGGGSGGGG
    ;;
train) misora train transformer runs/gpu --data data --model "$model" --recipe gpu --device cuda --minutes 8 ;;
bring)
    misora train split runs/gpu
    mkdir -p "$out"
    cp runs/gpu/transformer-*-of-*.safetensors runs/gpu/runs.jsonl "$out"
    if [ -e runs/autoencoder/autoencoder.safetensors ]; then cp runs/autoencoder/autoencoder.safetensors "$out"; fi
    ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
