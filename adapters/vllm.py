"""vLLM as an engine of bench-diff (docs/engine-protocol.md): its own loop, without a server.

    [[suites.peers.models]]
    model = "Qwen/Qwen2.5-7B-Instruct"
    engine = "command"
    command = ["python3", "adapters/vllm.py", "--gpu-memory-utilization", "0.9"]

One tensor-parallel rank for each GPU. vLLM takes its share of the GPU's memory at once, so the peak says nothing of a model.
On a CPU it needs a build of vLLM for CPUs.
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
    parser.add_argument("--max-model-len", type=int, help="[32768, 65536 or 131072, whichever holds the longest case; no more "
                                                          "than the model has]")
    parser.add_argument("--enforce-eager", action="store_true", help="no CUDA graphs, and nothing compiled")
    parser.add_argument("--attention-backend", help="such as FLASH_ATTN [vLLM's own choice]")
    parser.add_argument("--sampling", choices=["greedy", "qwen"], default="greedy",
                        help="qwen: as its script samples; lengths stay exact")
    return parser.parse_args(argv)


def shape(request):
    """The model's own config.json."""
    import transformers
    return transformers.AutoConfig.from_pretrained(request.get("directory") or request["model"],
                                                   revision=request.get("revision"))


def positions(config):
    """How many the model has, unless it says how to have more: vLLM knows then."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    is_plain = rope.get("rope_type", rope.get("type", "default")) == "default"
    return getattr(config, "max_position_embeddings", None) if is_plain else None


def has_tokenizer(request):
    if request.get("directory"):
        return any(os.path.exists(os.path.join(request["directory"], name)) for name in ("tokenizer.json", "vocab.json"))
    return request["weights"] == "hub"


def device():
    """What this build of vLLM runs on."""
    from vllm.platforms import current_platform
    return "cuda" if current_platform.is_cuda() else "cpu" if current_platform.is_cpu() else current_platform.device_name


class Vllm:
    def __init__(self, options):
        self.options = options
        self.engine = None
        self.tokenizer = None
        self.asked = 0
        self.sequences = 1
        self.protocol = None
        self.warnings = []

    def load(self, request):
        import vllm
        if request["device"] != device():
            raise Unsupported(f"this vLLM runs on {device()}, not on {request['device']}: install a build for that")
        implementation = self.implementation()
        if request.get("implementation") not in (None, implementation):
            raise Unsupported(f"this adapter was started as {implementation}: say so with its flags in `command`")
        self.sequences = request.get("batch_size", 1)
        self.protocol = request.get("seed_protocol")
        if self.protocol not in (None, "vllm"):
            raise Unsupported(f"vLLM's loop doesn't generate as Qwen's {self.protocol} protocol does: use adapters/transformers.py")
        arguments = self.arguments(request)
        self.engine = vllm.LLM(**arguments).llm_engine
        if not arguments["skip_tokenizer_init"]:
            self.tokenizer = self.engine.get_tokenizer()
        return {"implementation": implementation, **asked(request), "warnings": self.warnings}

    def implementation(self):
        if self.options.enforce_eager:
            return "eager"
        return "compiled" if device() == "cpu" else "graphs"

    def arguments(self, request):
        arguments = {
            "model": request.get("directory") or request["model"],
            "revision": request.get("revision"),
            "dtype": DTYPES[request["dtype"]] if request["quantization"] == "none" else "auto",
            "load_format": "dummy" if request["weights"] == "generated" else "auto",
            "skip_tokenizer_init": not self.takes_text(request),
            "gpu_memory_utilization": self.options.gpu_memory_utilization,
            "enforce_eager": self.options.enforce_eager,
            "tensor_parallel_size": max(len(request.get("gpus", [])), 1),
            # A prompt that was seen before would have no prefill.
            "enable_prefix_caching": False,
            "max_num_seqs": self.sequences,
            "seed": 0,
            "disable_log_stats": True,
            **self.length(request),
        }
        if self.options.attention_backend:
            arguments["attention_config"] = {"backend": self.options.attention_backend}
        return arguments

    def length(self, request):
        """The longest sequence."""
        longest, had = request["max_length"], positions(shape(request))
        length = self.options.max_model_len
        if length is None:
            length = next((length for length in LENGTHS if length >= longest), longest)
            if had and longest <= had:
                length = min(length, had)
        if length < longest:
            raise Unsupported(f"--max-model-len {length} is less than the {longest} tokens of the longest case")
        if had is None or length <= had:
            return {"max_model_len": length}
        self.warnings.append(f"the model has {had} positions, and was given {length}: its text means nothing past them, "
                             "while its speed is as it would be")
        return {"max_model_len": length, "hf_overrides": {"max_position_embeddings": length}}

    def takes_text(self, request):
        """Qwen's script gives and gets text, which it times."""
        takes = self.protocol is not None and has_tokenizer(request)
        if self.protocol and not takes:
            self.warnings.append("there is no tokenizer: tokenizing and detokenizing, which Qwen's script times as well, are not "
                                 "in the times")
        return takes

    def generate(self, prompt, tokens):
        parameters = self.sampling(tokens)
        text = self.tokenizer and self.tokenizer.decode(prompt)
        clock, sequences = Clock(), {}
        if text is not None:
            # For its time: the ids are known.
            self.tokenizer.encode(text)
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

    def sampling(self, tokens):
        from vllm import SamplingParams
        sampling = QWEN if self.protocol or self.options.sampling == "qwen" else {"temperature": 0.0}
        # The script's answers may end early.
        end = {"stop_token_ids": ENDS} if self.protocol else {"ignore_eos": True}
        return SamplingParams(max_tokens=tokens, detokenize=self.tokenizer is not None, **end, **sampling)

    def memory(self):
        return None  # held by vLLM's own processes: bench-diff asks the driver


def is_out_of_memory(error):
    said = ("out of memory", "no available memory", "available kv cache memory")
    return any(words in str(error).lower() for words in said)


if __name__ == "__main__":
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # One GPU: the engine in this process, so that no time goes between processes.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    options = parse()
    import torch
    import vllm as library
    # vLLM for CPUs runs with a torch for GPUs, too.
    cuda = torch.version.cuda if device() == "cuda" else None
    serve(Vllm(options), "vllm", library.__version__, {"torch": torch.__version__, "cuda": cuda}, is_out_of_memory)
