"""vLLM as an engine of bench-diff (docs/engine-protocol.md): its own loop, without a server.

    [[suites.peers.models]]
    model = "Qwen/Qwen2.5-7B-Instruct"
    engine = "command"
    command = ["python3", "adapters/vllm.py", "--gpu-memory-utilization", "0.9"]

One tensor-parallel rank for each GPU. vLLM takes its share of the GPU's memory at once, so the peak says nothing of a model.
"""

import argparse
import os
import sys

from engine_protocol import Clock, Unsupported, asked, serve

# This file is called as the library is; processes that vLLM starts look for the library, too.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != HERE]

DTYPES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
# What Qwen's speed_benchmark_vllm.py uses: the shortest that holds prompt and generated tokens.
LENGTHS = [32768, 65536, 131072]
# How that script samples.
QWEN = {"temperature": 1.0, "top_p": 0.8, "repetition_penalty": 0.1, "presence_penalty": -2.0, "frequency_penalty": -2.0}
# Of all Qwen2.5 models: <|endoftext|> and <|im_end|>, which end an answer of that script.
ENDS = [151643, 151645]


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    parser.add_argument("--max-model-len", type=int, help="[32768, 65536 or 131072, whichever holds the longest case]")
    parser.add_argument("--enforce-eager", action="store_true", help="no CUDA graphs")
    parser.add_argument("--attention-backend", help="such as FLASH_ATTN [vLLM's own choice]")
    parser.add_argument("--sampling", choices=["greedy", "qwen"], default="greedy",
                        help="qwen: as its script samples; lengths stay exact")
    return parser.parse_args(argv)


class Vllm:
    def __init__(self, options):
        self.options = options
        self.engine = None
        self.asked = 0
        self.sequences = 1
        self.protocol = None

    def load(self, request):
        import vllm
        if request.get("implementation") not in (None, self.implementation()):
            raise Unsupported(f"this adapter was started as {self.implementation()}: say so with its flags in `command`")
        self.sequences = request.get("batch_size", 1)
        self.protocol = request.get("seed_protocol")
        if self.protocol not in (None, "vllm"):
            raise Unsupported(f"vLLM's loop doesn't generate as Qwen's {self.protocol} protocol does: use adapters/transformers.py")
        arguments = self.arguments(request)
        self.engine = vllm.LLM(**arguments).llm_engine
        untimed = "the prompt is token ids: tokenizing and detokenizing, which Qwen's script times as well, are not in the times"
        warnings = {"warnings": [untimed]} if self.protocol else {}
        return {"implementation": self.implementation(), **asked(request), **warnings}

    def implementation(self):
        return "eager" if self.options.enforce_eager else "graphs"

    def arguments(self, request):
        longest = request["max_length"]
        fitting = [length for length in LENGTHS if length >= longest]
        length = self.options.max_model_len or (fitting[0] if fitting else longest)
        if length < longest:
            raise Unsupported(f"--max-model-len {length} is less than the {longest} tokens of the longest case")
        arguments = {
            "model": request.get("directory") or request["model"],
            "revision": request.get("revision"),
            "dtype": DTYPES[request["dtype"]] if request["quantization"] == "none" else "auto",
            "load_format": "dummy" if request["weights"] == "generated" else "auto",
            "skip_tokenizer_init": True,
            "max_model_len": length,
            "gpu_memory_utilization": self.options.gpu_memory_utilization,
            "enforce_eager": self.options.enforce_eager,
            "tensor_parallel_size": max(len(request.get("gpus", [])), 1),
            # A prompt that was seen before would have no prefill.
            "enable_prefix_caching": False,
            "max_num_seqs": self.sequences,
            "seed": 0,
            "disable_log_stats": True,
        }
        if self.options.attention_backend:
            arguments["attention_config"] = {"backend": self.options.attention_backend}
        return arguments

    def generate(self, prompt, tokens):
        from vllm import SamplingParams
        sampling = QWEN if self.protocol or self.options.sampling == "qwen" else {"temperature": 0.0}
        # The script's answers may end early.
        end = {"stop_token_ids": ENDS} if self.protocol else {"ignore_eos": True}
        parameters = SamplingParams(max_tokens=tokens, detokenize=False, **end, **sampling)
        clock, sequences = Clock(), {}
        for _ in range(self.sequences):
            self.asked += 1
            sequences[str(self.asked)] = []
            self.engine.add_request(str(self.asked), {"prompt_token_ids": prompt}, parameters)
        there = 0
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                sequences[output.request_id] = list(output.outputs[0].token_ids)
            # A token is there when those of all sequences are.
            new = min(len(ids) for ids in sequences.values()) - there
            if new > 0:
                clock.tokens(new)
                there += new
        return next(iter(sequences.values())), clock.chunks, clock.now()

    def memory(self):
        return None  # held by vLLM's own processes: bench-diff asks the driver


def is_out_of_memory(error):
    return "out of memory" in str(error).lower() or "No available memory" in str(error)


if __name__ == "__main__":
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # One GPU: the engine in this process, so that no time goes between processes.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    options = parse()
    import torch
    import vllm as library
    serve(Vllm(options), "vllm", library.__version__, {"torch": torch.__version__, "cuda": torch.version.cuda},
          is_out_of_memory)
