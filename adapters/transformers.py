"""Hugging Face transformers as an engine of bench-diff (docs/engine-protocol.md).

    [[suites.peers.models]]
    model = "Qwen/Qwen2.5-0.5B-Instruct"
    engine = "command"
    command = ["python3", "adapters/transformers.py", "--attn-implementation", "sdpa"]

Greedy by default, so that tokens can be compared. `--sampling generation-config` is what Qwen's own
speed_benchmark_transformers.py does: the model's generation_config decides, which samples for Instruct models.
"""

import argparse
import importlib.metadata
import os
import sys

from engine_protocol import Clock, Unsupported, asked, serve

# This file is called as the library is.
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != os.path.dirname(os.path.abspath(__file__))]

import torch  # noqa: E402
import transformers  # noqa: E402

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--attn-implementation", choices=["flash_attention_2", "sdpa", "eager"], default="sdpa")
    parser.add_argument("--compile", action="store_true", help="a static cache, and decoding through torch.compile")
    parser.add_argument("--device-map", default="auto", help="where the weights go, when they are read [auto]")
    parser.add_argument("--sampling", choices=["greedy", "generation-config"], default="greedy")
    parser.add_argument("--seed", type=int, default=1024, help="for sampling, and for generated weights")
    parser.add_argument("--no-stream", action="store_true", help="only the time of the whole generation, as Qwen's script takes it")
    return parser.parse_args(argv)


class Arrivals(transformers.generation.streamers.BaseStreamer):
    """Hears of each token of all sequences. Asking for its value has waited for the device."""

    def __init__(self, clock, sequences):
        self.clock = clock
        self.sequences = sequences
        self.prompt = True

    def put(self, value):
        if self.prompt:  # the first call is the prompt itself
            self.prompt = False
        else:
            self.clock.tokens(value.numel() // self.sequences)

    def end(self):
        pass


class Transformers:
    def __init__(self, options):
        self.options = options
        self.model = None
        self.cuda = False
        self.sequences = 1
        self.protocol = None

    def load(self, request):
        self.cuda = request["device"] == "cuda"
        if self.cuda and not torch.cuda.is_available():
            raise Unsupported("torch sees no GPU: install a CUDA build of torch, or measure on the CPU")
        if request.get("implementation") not in (None, self.implementation()):
            raise Unsupported(f"this adapter was started as {self.implementation()}: say so with its flags in `command`")
        self.sequences = request.get("batch_size", 1)
        self.protocol = request.get("seed_protocol")
        if self.protocol not in (None, "transformers", "evalscope"):
            raise Unsupported(f"transformers doesn't generate as Qwen's {self.protocol} protocol does: use adapters/vllm.py")
        transformers.set_seed(self.options.seed)
        self.model = self.generated(request) if request["weights"] == "generated" else self.read(request)
        self.model.eval()
        if not self.samples():
            # What `generate` isn't told it takes from here: ends of sequence, a penalty for repetition.
            self.model.generation_config = transformers.GenerationConfig(do_sample=False, pad_token_id=0)
        if self.protocol is None:
            self.memory()  # the script never begins its peak anew: loading counts
        loaded = {"implementation": self.implementation(), "revision": getattr(self.model.config, "_commit_hash", None)}
        return {**loaded, **asked(request)}

    def samples(self):
        return self.protocol is not None or self.options.sampling == "generation-config"

    def implementation(self):
        return self.options.attn_implementation + ("-compile" if self.options.compile else "")

    def read(self, request):
        where = self.options.device_map if self.cuda else "cpu"
        return transformers.AutoModelForCausalLM.from_pretrained(
            request.get("directory") or request["model"], revision=request.get("revision"), device_map=where,
            dtype=DTYPES.get(request["dtype"], "auto") if request["quantization"] == "none" else "auto",
            attn_implementation=self.options.attn_implementation)

    def generated(self, request):
        if request["quantization"] != "none":
            raise Unsupported("transformers can't make up quantized weights: use `weights = \"hub\"`")
        config = transformers.AutoConfig.from_pretrained(request.get("directory") or request["model"])
        with torch.device("cuda" if self.cuda else "cpu"):
            return transformers.AutoModelForCausalLM.from_config(
                config, dtype=DTYPES[request["dtype"]], attn_implementation=self.options.attn_implementation)

    def generate(self, prompt, tokens):
        ids = torch.tensor([prompt] * self.sequences, device=self.model.device)
        settings = self.settings(len(prompt), tokens)
        self.wait()
        clock = Clock()
        whole = self.options.no_stream or self.protocol is not None
        streamer = None if whole else Arrivals(clock, self.sequences)
        with torch.inference_mode():
            output = self.model.generate(ids, attention_mask=torch.ones_like(ids), streamer=streamer, **settings)
        self.wait()
        if whole:
            clock.tokens(output.shape[1] - len(prompt))
        return output[0, len(prompt):].tolist(), clock.chunks, clock.now()

    def settings(self, prompt, tokens):
        settings = {"max_new_tokens": tokens}
        if self.samples():
            # Keeps the end of sequence away, as Qwen's script does.
            settings["min_length"] = prompt + tokens
        if self.options.compile:
            settings["cache_implementation"] = "static"
        return settings

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def memory(self):
        if not self.cuda:
            return None
        cards = range(torch.cuda.device_count())
        peak = sum(torch.cuda.max_memory_allocated(card) for card in cards)
        for card in cards:
            torch.cuda.reset_peak_memory_stats(card)
        return peak


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    engine = Transformers(parse())
    components = {"torch": torch.__version__, "cuda": torch.version.cuda, "flash-attn": version("flash-attn")}
    serve(engine, "transformers", transformers.__version__, components,
          lambda error: isinstance(error, torch.OutOfMemoryError))
