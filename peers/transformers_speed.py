#!/usr/bin/env python3
"""Measures Hugging Face transformers on a Qwen2.5 shape with random weights: eager, and with a static cache and
torch.compile (reduce-overhead), as `generate` does it by itself for a static cache.

    peers/transformers_speed.py --shape 0.5B --context 1 --generated 512
    peers/transformers_speed.py --shape 7B --context 6144 --generated 256 --modes compiled

One JSON object a line and mode: decode tokens/s ((generated - 1) / (time of all - time to first token)), time to
first token in ms, each with the values of all runs. Needs torch with CUDA and transformers; nothing is downloaded.
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import Qwen2Config, Qwen2ForCausalLM

SHAPES = {
    "0.5B": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                 num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "1.5B": dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
                 num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "3B": dict(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36, num_attention_heads=16,
               num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "7B": dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
               num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False),
}


def load(shape):
    """The model on the GPU with random bf16 weights."""
    config = Qwen2Config(max_position_embeddings=32768, rms_norm_eps=1e-6, rope_theta=1e6, use_sliding_window=False,
                         **SHAPES[shape])
    config._attn_implementation = "sdpa"
    torch.manual_seed(1024)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model = Qwen2ForCausalLM(config)
    finally:
        torch.set_default_dtype(default)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()


def seconds(model, prompt, generated, cache):
    """One greedy generation of exactly `generated` tokens."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    options = {} if cache is None else {"cache_implementation": cache}
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=generated,
                         min_new_tokens=generated, do_sample=False, **options)
    torch.cuda.synchronize()
    elapsed = time.perf_counter() - start
    assert out.shape[1] == prompt.shape[1] + generated, out.shape
    return elapsed


def measure(model, mode, prompt, generated, runs):
    cache = {"eager": None, "compiled": "static"}[mode]
    for _ in range(2):  # Compiles, and captures graphs.
        seconds(model, prompt, generated, cache)
    first, speed = [], []
    for _ in range(runs):
        first.append(seconds(model, prompt, 1, cache))
        speed.append((generated - 1) / (seconds(model, prompt, generated, cache) - first[-1]))
    return {"decode_tok_s": round(statistics.median(speed), 1), "decode_runs": [round(v, 1) for v in speed],
            "ttft_ms": round(statistics.median(first) * 1e3, 2), "ttft_runs": [round(v * 1e3, 2) for v in first]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--context", type=int, default=1)
    parser.add_argument("--generated", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--modes", default="eager,compiled", help="of eager and compiled, separated by a comma")
    parser.add_argument("--prompt-ids", help="a JSON list of token ids; default: random ones")
    args = parser.parse_args()
    if args.prompt_ids:
        with open(args.prompt_ids) as file:
            ids = json.load(file)[: args.context]
    else:
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(0, 151643, (args.context,), generator=generator).tolist()
    prompt = torch.tensor([ids], device="cuda")
    model = load(args.shape)
    for mode in args.modes.split(","):
        with torch.inference_mode():
            result = measure(model, mode, prompt, args.generated, args.runs)
        print(json.dumps({"peer": "transformers", "version": transformers.__version__, "torch": torch.__version__,
                          "gpu": torch.cuda.get_device_name(), "shape": args.shape, "weights": "generated",
                          "mode": mode, "context": args.context, "generated": args.generated, **result}), flush=True)


if __name__ == "__main__":
    main()
