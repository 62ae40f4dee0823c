"""``misora bench``: where the seconds and the memory go on this machine, alone or beside a peer; it knows nothing of quality."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from misora.client.errors import UsageError

PROMPT = "a red ball bounces on a wooden floor"
STAGES = ("text", "denoise", "decode", "encode")  # the last: enlarging, marking, writing and signing
TOKENS = {True: 1560, False: 858}  # of a forward: Wan's, ours


def add_parser(verbs: Any) -> None:
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = verbs.add_parser("bench", help="measure where the time goes on this machine")
    parser.add_argument("--model", default="embedded", metavar="NAME|FOLDER", help="the weights, or with --random-weights a named size")
    parser.add_argument("--random-weights", action="store_true", help="time one forward of that size; nothing is downloaded")
    parser.add_argument("--tokens", type=int, metavar="N", help="of that forward (default: 1560 for Wan, 858 for ours)")
    parser.add_argument("--per-token", action="store_true", help="its first frame is clean: each token has its own noise level")
    parser.add_argument("--layers", type=int, metavar="N", help="only so many of its layers")
    parser.add_argument("--peer", choices=["diffusers"], help="the same forward by another library, in turn, and the ratio")
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda", help="where the forward runs (default: cpu)")
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="N", help="without random weights: the length of the clip (default: 4)"
    )
    parser.add_argument("--size", metavar="WxH", help="its size")
    parser.add_argument("--steps", type=int, metavar="N", help="its sampling steps")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is timed after one that is not (default: 3)")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    parser.set_defaults(run=run, computes=True)


def run(args: argparse.Namespace) -> None:
    """Measure and print. Raises MisoraError."""
    if not 1 <= args.rounds <= 100:
        raise UsageError(f"{args.rounds} rounds cannot be timed; ask for 1 to 100.")
    forward = args.random_weights or args.peer
    facts = forwards(args) if forward else requests(args)
    if args.json:
        print(json.dumps(facts))
    else:
        _print_forwards(facts) if forward else _print_requests(facts)


def forwards(args: argparse.Namespace) -> dict[str, Any]:
    """One forward of a size on random weights, alone or in turn with the peer's. Raises UsageError, MissingExtraError."""
    import torch

    from misora.cli import measure
    from misora.model import peer
    from misora.model.weights import fast_dtype

    config, dtype = _shape(args), fast_dtype() if args.device == "cpu" else torch.bfloat16
    wan = peer.is_wan(config)
    torch.manual_seed(0)
    with torch.inference_mode():
        # Ours samples with and without the prompt at once.
        given = peer.given(config, args.tokens or TOKENS[wan], batch=2 - wan, per_token=args.per_token, device=args.device)
        match = peer.paired(config, dtype, given) if args.peer else peer.alone(config, dtype, given)
        took, made = measure.alternated(match.calls, args.rounds, args.device)
    facts: dict[str, Any] = {"model": args.model, "dtype": str(dtype).removeprefix("torch."), "layers": config.depth}
    facts |= {"tokens": given.tokens, "batch": len(given.x), "per_token": args.per_token} | _machine(args.device)
    reads = peer.weight_bytes(config, dtype)
    for name, times in took.items():
        facts[name] = {"seconds": statistics.median(times), "all": times, "error": match.error(made[name])}
        facts[name] |= _shares(given.flops(config), reads, facts[name]["seconds"], facts)
    if args.peer:
        facts |= {"peer": args.peer, "ratio": facts[args.peer]["seconds"] / facts["ours"]["seconds"]}
    return facts


def requests(args: argparse.Namespace) -> dict[str, Any]:
    """Whole requests with weights that are here, stage by stage; the first is not counted. Raises MisoraError."""
    import misora
    from misora.cli import measure
    from misora.model.peer import weight_bytes

    engine = misora.load(args.model)
    stages = measure.Stages()
    work = measure.watched(engine.weights, stages)
    wishes: Any = {name: getattr(args, name) for name in ("size", "steps") if getattr(args, name) is not None}
    laps = []
    with tempfile.TemporaryDirectory() as folder:
        make = stages.call("encode", lambda: engine.generate(PROMPT, seconds=args.seconds, seed=0, **wishes).save(Path(folder) / "a.mp4"))
        for _ in range(args.rounds + 1):
            stages.spent.clear()
            work.clear()
            make()
            laps.append(dict(stages.spent))
    spent = {stage: statistics.median(lap.get(stage, 0.0) for lap in laps[1:]) for stage in STAGES}
    config, dtype = engine.weights.transformer.config, engine.weights.dtype
    facts: dict[str, Any] = {"model": args.model, "dtype": str(dtype).removeprefix("torch."), "seconds_of_video": args.seconds}
    facts |= {"stages": spent, "seconds": sum(spent.values()), "forwards": len(work)} | _machine("cpu")
    return facts | {"denoise": _shares(sum(work), len(work) * weight_bytes(config, dtype), spent["denoise"], facts)}


def _shape(args: argparse.Namespace) -> Any:
    """The shape that was asked for. Raises UsageError, CheckpointError."""
    import dataclasses

    import torch

    from misora.model import checkpoint
    from misora.model.sizes import SIZES
    from misora.model.transformer import TransformerConfig
    from misora.model.weights import EMBEDDED

    if args.device != "cpu" and not torch.cuda.is_available():
        raise UsageError(f"There is no {args.device} here; leave --device out.")
    if args.model == "embedded":
        config = TransformerConfig(**checkpoint.load(EMBEDDED / "transformer.safetensors")[1])
    elif args.model in SIZES:
        config = SIZES[args.model]
    else:
        raise UsageError(f"{args.model} is no size with a name; random weights take --model embedded, {', '.join(SIZES)}.")
    if not (args.tokens is None or args.tokens > 0) or not 1 <= (args.layers or config.depth) <= config.depth:
        raise UsageError(f"Give --tokens of at least 1 and --layers from 1 to {config.depth}.")
    return dataclasses.replace(config, depth=args.layers or config.depth)


def _machine(device: str) -> dict[str, Any]:
    from misora.cli import measure

    gemm, bandwidth = measure.gemm_peak(device=device), measure.bandwidth_peak(device=device)
    return {
        "device": device,
        "gemm_tflops": gemm / 1e12,
        "gigabytes_per_second": bandwidth / 1e9,
        "peak_gigabytes": measure.peak_memory() / 1e9,
    }


def _shares(flops: float, reads: float, seconds: float, machine: dict[str, Any]) -> dict[str, float]:
    """Of the machine's matrix product and of its bandwidth, what so much work and so many weights read in ``seconds`` come to."""
    tflops, speed = flops / seconds / 1e12, reads / seconds / 1e9
    return {"tflops": tflops, "of_gemm": tflops / machine["gemm_tflops"], "of_bandwidth": speed / machine["gigabytes_per_second"]}


def _print_forwards(facts: dict[str, Any]) -> None:
    print(f"{facts['model']}, {facts['layers']} layers, {facts['batch']} x {facts['tokens']} tokens, {facts['dtype']}, random weights")
    for name in ("ours", facts.get("peer")):
        if name:
            one = facts[name]
            error = "" if one["error"] is None else f"  error {one['error']:.1e}"
            print(
                f"{name:10} {one['seconds']:8.3f} s a forward  {one['tflops']:.2f} TFLOP/s, {one['of_gemm']:.0%} of a matrix product{error}"
            )
    if "ratio" in facts:
        print(f"ratio {facts['ratio']:.2f}")
    _print_machine(facts)


def _print_requests(facts: dict[str, Any]) -> None:
    print(f"{facts['model']}: {facts['seconds_of_video']:g} s of video in {facts['seconds']:.2f} s, {facts['forwards']} forwards")
    for stage, seconds in facts["stages"].items():
        print(f"{stage:10} {seconds:8.3f} s  {seconds / facts['seconds']:4.0%}")
    one = facts["denoise"]
    print(f"denoising at {one['tflops']:.2f} TFLOP/s: {one['of_gemm']:.0%} of a matrix product, {one['of_bandwidth']:.0%} of the bandwidth")
    _print_machine(facts)


def _print_machine(facts: dict[str, Any]) -> None:
    product, copies = f"{facts['gemm_tflops']:.2f} TFLOP/s in bf16", f"{facts['gigabytes_per_second']:.1f} GB/s"
    print(f"this machine: matrix product {product}, copies {copies}; peak memory {facts['peak_gigabytes']:.2f} GB")
