"""The engine protocol of bench-diff (docs/engine-protocol.md), for engines in Python.

An engine is a class with

    load(self, request) -> dict          what `loaded` says besides: implementation, revision, warnings, and what `asked` gives
                                         where the engine does it
    generate(self, prompt, tokens) -> (token_ids, [(tokens, ms), ...], end_to_end_ms)
    memory(self) -> bytes or None        the most in use since the last call

and `serve` does the rest. Times are of this process's clock, once it has waited for the device.
"""

import json
import os
import sys
import time
import traceback

VERSION = 1


class Unsupported(Exception):
    """What the engine can't do, ever; the message says what to do instead."""


def asked(request):
    """What `loaded` repeats, so that bench-diff knows that it is done: a batch, and a seed protocol."""
    return {key: request[key] for key in ("batch_size", "seed_protocol") if request.get(key) is not None}


class Clock:
    """Times of the tokens of one generation, in ms from its start."""

    def __init__(self):
        self.start = time.perf_counter()
        self.chunks = []

    def now(self):
        return (time.perf_counter() - self.start) * 1e3

    def tokens(self, count=1):
        self.chunks.append((count, self.now()))


def take_standard_output():
    """What libraries print goes to standard error from here on. Returns where the protocol goes."""
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return protocol


def serve(engine, name, version, components, is_out_of_memory=lambda error: False):
    """Answers requests until the last. `components` maps names to versions."""
    out = take_standard_output()

    def say(**answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    components = {part: {"version": str(of)} for part, of in components.items() if of}
    say(answer="hello", protocol=VERSION, name=name, version=version, components=components)
    for line in sys.stdin:
        request = json.loads(line)
        if request["request"] == "quit":
            break
        try:
            say(**_answer(engine, request))
        except Exception as error:
            traceback.print_exc()
            say(answer="error", kind=_kind(error, is_out_of_memory), message=_one_line(error))
    out.close()


def _answer(engine, request):
    if request["request"] == "load":
        if request["device"] not in ("cpu", "cuda"):
            raise Unsupported(f"this engine runs on cpu and cuda, not on {request['device']}")
        return {"answer": "loaded", **engine.load(request)}
    if request["request"] == "generate":
        ids, chunks, end_to_end = engine.generate(request["prompt"], request["tokens"])
        clock = {"clock": "host", "chunks": chunks, "end_to_end_ms": end_to_end}
        return {"answer": "generated", "token_ids": ids, "times": clock}
    if request["request"] == "memory":
        peak = engine.memory()
        return {"answer": "memory", "peak_bytes": peak} if peak else {"answer": "memory"}
    raise Unsupported(f"this engine knows no request `{request['request']}`")


def _kind(error, is_out_of_memory):
    if isinstance(error, Unsupported):
        return "unsupported"
    return "out_of_memory" if is_out_of_memory(error) else "failed"


def _one_line(error):
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:1000]
