#!/usr/bin/env python3
"""Prints the table of docs/measured.md: a results file beside Qwen's published speeds and the card's limit.

Usage: python3 docs/measured.py results.json [earlier.json ...]

Of earlier results of the same cases it has the decode speeds.
"""

import csv
import json
import pathlib
import statistics
import sys

PUBLISHED = pathlib.Path(__file__).parent.parent / "src" / "published" / "qwen25_speed.csv"


def published():
    """(engine, model with its quantization, context) -> tokens/s of the first row: later ones repeat it with other settings."""
    speeds = {}
    with PUBLISHED.open() as file:
        for row in csv.DictReader(file):
            model = row["model"] + ("" if row["quantization"] == "BF16" else "-" + row["quantization"])
            key = (row["engine"], model, int(row["input_length"]))
            speeds.setdefault(key, float(row["speed_tokens_per_s"]))
    return speeds


def mean_and_sd(values, digits):
    if not values:
        return ""
    text = f"{statistics.mean(values):.{digits}f}"
    return f"{text} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else text


def runs_of(results, case):
    return [run for session in results["sessions"] for run in session["runs"]
            if run["case"] == case["id"] and run["status"] == "ok"]


def values(runs, name):
    return [run["metrics"][name] for run in runs if name in run["metrics"]]


def row(case, runs, speeds):
    metric = lambda name: values(runs, name)
    share = [run["roofline"]["decode"] for run in runs if run.get("roofline", {}).get("decode")]
    decode = metric("decode_throughput")
    limit = statistics.mean(d / s for d, s in zip(decode, share)) if share else None
    name = case["model"].split("/")[-1]
    theirs = [speeds.get((engine, name, case["context_length"])) for engine in ("transformers", "vllm")]
    return [
        name.removeprefix("Qwen2.5-").replace("-Instruct", "").replace("-", " ", 1),
        str(case["context_length"]),
        mean_and_sd(decode, 1),
        f"{limit:.0f}" if limit else "",
        f"{statistics.mean(share):.0%}" if share else "",
        mean_and_sd(metric("ttft"), 1),
        mean_and_sd(metric("speed"), 1),
        *(f"{value:.1f}" if value else "" for value in theirs),
        mean_and_sd([value / 1024 for value in metric("peak_memory")], 2),
        str(len(runs)),
    ]


def main(path, *earlier_paths):
    results, *earlier = [json.load(open(each)) for each in (path, *earlier_paths)]
    speeds = published()
    head = ["model", "context", "decode tok/s", "limit tok/s", "share", "TTFT ms", "speed tok/s",
            "A100 transformers", "A100 vLLM", "peak memory GiB", "runs", *("decode before" for _ in earlier)]
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|")
    for case in results["cases"]:
        before = [mean_and_sd(values(runs_of(each, case), "decode_throughput"), 1) for each in earlier]
        print("| " + " | ".join(row(case, runs_of(results, case), speeds) + before) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
