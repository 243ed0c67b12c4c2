//! What the files of other tools in `tests/fixtures/formats/` hold.

/// Each file, and what its rows must be: case, metric, number of values, mean, unit, better. An `avg` has no samples.
pub const FORMATS: [(&str, &[&str]); 24] = [
    (
        "llama-bench.json",
        &[
            "qwen2 0.5B Q4_0, pp512 | prefill_throughput | 3 x 205 tok/s | higher",
            "qwen2 0.5B Q4_0, tg128 @ d4096 | decode_throughput | 3 x 41 tok/s | higher",
            "qwen2 0.5B Q4_0, pp512+tg128 | throughput | avg 120 tok/s | higher",
        ],
    ),
    (
        "llama-bench.jsonl",
        &[
            "qwen2 7B F16, tg32, n_threads 4 | decode_throughput | 2 x 10.5 tok/s | higher",
            "qwen2 7B F16, tg32, n_threads 8 | decode_throughput | 2 x 18.5 tok/s | higher",
        ],
    ),
    (
        "llama-bench.csv",
        &[
            "qwen2 7B Q4_K - Medium, pp512 | prefill_throughput | avg 310.5 tok/s | higher",
            "qwen2 7B Q4_K - Medium, tg128 | decode_throughput | avg 22.25 tok/s | higher",
        ],
    ),
    ("vllm-latency.json", &["latency | e2e_latency | 3 x 1.25 s | lower"]),
    (
        "vllm-throughput.json",
        &[
            "throughput | request_throughput | avg 8 req/s | higher",
            "throughput | total_token_throughput | avg 4096 tok/s | higher",
        ],
    ),
    (
        "vllm-serve.json",
        &[
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | request_throughput | 2 x 4.05 req/s | higher",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | output_throughput | 2 x 202.5 tok/s | higher",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | total_token_throughput | 2 x 607.5 tok/s | higher",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | mean_ttft | 2 x 30.75 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | median_ttft | avg 30 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | p99_ttft | avg 39 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | mean_tpot | avg 9.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | median_tpot | avg 9.4 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | p99_tpot | avg 10.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | mean_itl | avg 9.6 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | median_itl | avg 9.3 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4, rate inf | p99_itl | avg 14 ms | lower",
        ],
    ),
    (
        "sglang-serving.jsonl",
        &[
            "serve, random, input 1024, output 128, concurrency 16, rate inf | request_throughput | 2 x 15.5 req/s | higher",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | input_throughput | 2 x 15872 tok/s | higher",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | output_throughput | 2 x 1984 tok/s | higher",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | mean_ttft | avg 85 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | median_ttft | avg 80 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | p99_ttft | avg 140 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | mean_tpot | avg 7 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | median_tpot | avg 7 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | p99_tpot | avg 7.5 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | mean_itl | avg 7.1 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | median_itl | avg 6.9 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | p95_itl | avg 8 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | p99_itl | avg 9.5 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | mean_e2e_latency | avg 980.5 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | median_e2e_latency | avg 975 ms | lower",
            "serve, random, input 1024, output 128, concurrency 16, rate inf | p99_e2e_latency | avg 1020 ms | lower",
        ],
    ),
    (
        "sglang-one-batch.jsonl",
        &[
            "one batch, batch 8, input 1024, output 128 | input_throughput | avg 40960 tok/s | higher",
            "one batch, batch 8, input 1024, output 128 | output_throughput | avg 1024 tok/s | higher",
            "one batch, batch 8, input 1024, output 128 | overall_throughput | avg 7372.8 tok/s | higher",
            "one batch, batch 8, input 1024, output 128 | latency | avg 1.25 s | lower",
            "one batch, batch 8, input 1024, output 128 | last_ttft | avg 0.2 s | lower",
        ],
    ),
    (
        "aiperf.json",
        &[
            "Qwen/Qwen2.5-7B, concurrency 4 | request_throughput | avg 0.8 requests/sec | higher",
            "Qwen/Qwen2.5-7B, concurrency 4 | output_token_throughput | avg 52.5 tokens/sec | higher",
            "Qwen/Qwen2.5-7B, concurrency 4 | output_token_throughput_per_user | avg 28.5 tokens/sec/user | higher",
            "Qwen/Qwen2.5-7B, concurrency 4 | mean_ttft | avg 195.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | median_ttft | avg 175 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | p90_ttft | avg 251.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | p99_ttft | avg 253.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | mean_itl | avg 35.25 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | median_itl | avg 34.75 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | mean_e2e_latency | avg 2413.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | median_e2e_latency | avg 2431.75 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | p90_e2e_latency | avg 2438.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrency 4 | p99_e2e_latency | avg 2439.5 ms | lower",
        ],
    ),
    (
        "guidellm.json",
        &[
            "Qwen/Qwen2.5-7B, concurrent 8 | request_throughput | avg 4 req/s | higher",
            "Qwen/Qwen2.5-7B, concurrent 8 | output_throughput | avg 512 tok/s | higher",
            "Qwen/Qwen2.5-7B, concurrent 8 | total_token_throughput | avg 2560 tok/s | higher",
            "Qwen/Qwen2.5-7B, concurrent 8 | mean_ttft | avg 40 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | median_ttft | avg 38 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | p99_ttft | avg 90 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | mean_itl | avg 9.5 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | median_itl | avg 9.4 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | p99_itl | avg 12 ms | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | mean_e2e_latency | avg 1.9 s | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | median_e2e_latency | avg 1.85 s | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | p90_e2e_latency | avg 2.1 s | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | p95_e2e_latency | avg 2.2 s | lower",
            "Qwen/Qwen2.5-7B, concurrent 8 | p99_e2e_latency | avg 2.5 s | lower",
        ],
    ),
    (
        "hyperfine-1.json",
        &[
            "sleep {seconds}, seconds 0.5 | time | 3 x 0.52 s | lower",
            "sleep {seconds}, seconds 0.5 | memory | 3 x 2098517.3333 B | lower",
            "true | time | avg 0.001 s | lower",
        ],
    ),
    ("hyperfine-2.json", &["short nap | time | 2 x 0.52 s | lower", "short nap | memory | 2 x 2099200 B | lower"]),
    ("criterion-sample.json", &["benchmark | time | 3 x 98.3333 ns | lower"]),
    ("criterion-estimates.json", &["benchmark | time | avg 100 ns | lower"]),
    (
        "pytest-benchmark.json",
        &[
            "tests/test_speed.py::test_decode[7B] | time | 3 x 0.0102 s | lower",
            "tests/test_speed.py::test_load | time | avg 1.1 s | lower",
        ],
    ),
    (
        "go.txt",
        &[
            "example.org/fast.BenchmarkDecode-8 | time | 2 x 11050000 ns | lower",
            "example.org/fast.BenchmarkDecode-8 | memory | 2 x 2048 B | lower",
            "example.org/fast.BenchmarkDecode-8 | allocations | 2 x 12 allocs/op | lower",
            "example.org/fast.BenchmarkCopy/large-8 | time | avg 240000 ns | lower",
            "example.org/fast.BenchmarkCopy/large-8 | throughput | avg 4166.67 MB/s | higher",
            "example.org/fast.BenchmarkCopy/large-8 | p99 | avg 700 ns | lower",
            "example.org/fast.BenchmarkCopy/large-8 | tokens | avg 31.5 tokens | higher",
        ],
    ),
    (
        "github-action-benchmark.json",
        &["decode 7B | tok/s | avg 101.5 tok/s | higher", "startup | ms | avg 12.5 ms | lower"],
    ),
    (
        "data.js",
        &[
            "Go: BenchmarkDecode - ns/op | ns/op | avg 11000000 ns/op | lower",
            "Go: BenchmarkDecode - B/op | B/op | avg 2048 B/op | lower",
            "Rate: score | points | avg 3 points | higher",
        ],
    ),
    (
        "bencher.json",
        &[
            "decode 7B | latency | avg 9500 ns | lower",
            "decode 7B | throughput | avg 105 ops/s | higher",
            "prefill 7B | latency | avg 120 ns | lower",
        ],
    ),
    (
        "speed_benchmark.json",
        &[
            "context 1 | speed | avg 45.5 tok/s | higher",
            "context 1 | allocated_memory | avg 14.92 GiB | lower",
            "context 6144 | speed | avg 40.25 tok/s | higher",
        ],
    ),
    (
        "evalscope-0.7.2.db",
        &[
            "context 1 | speed | 2 x 77 tok/s | higher",
            "context 1 | ttft | 2 x 117.5 ms | lower",
            "context 1 | tpot | 2 x 10 ms | lower",
            "context 1 | allocated_memory | 2 x 1.5 GiB | lower",
            "context 6144 | speed | 2 x 66 tok/s | higher",
            "context 6144 | ttft | 2 x 402.5 ms | lower",
            "context 6144 | tpot | 2 x 5 ms | lower",
            "context 6144 | allocated_memory | 2 x 1.5 GiB | lower",
        ],
    ),
    (
        "evalscope-1.14.1.db",
        &[
            "context 1 | speed | 2 x 77 tok/s | higher",
            "context 1 | ttft | 2 x 117.5 ms | lower",
            "context 1 | tpot | 2 x 10 ms | lower",
            "context 6144 | speed | 2 x 66 tok/s | higher",
            "context 6144 | ttft | 2 x 402.5 ms | lower",
            "context 6144 | tpot | 2 x 5 ms | lower",
        ],
    ),
    (
        "qwen-transformers.csv",
        &[
            "Qwen2.5-0.5B-Instruct, context 6144, 2048 tokens | speed | 2 x 47.5 tok/s | higher",
            "Qwen2.5-0.5B-Instruct, context 6144, 2048 tokens | allocated_memory | 2 x 1.25 GiB | lower",
            "Qwen2.5-0.5B-Instruct, context 6144, 2048 tokens, batch 2, eager attention | speed | 1 x 30.5 tok/s | higher",
            "Qwen2.5-0.5B-Instruct, context 6144, 2048 tokens, batch 2, eager attention | allocated_memory | 1 x 1.5 GiB | lower",
        ],
    ),
    (
        "qwen-vllm.csv",
        &[
            "Qwen/Qwen2.5-7B-Instruct, context 6144, 2048 tokens | speed | 1 x 80 tok/s | higher",
            "Qwen/Qwen2.5-7B-Instruct, context 6144, 2048 tokens | e2e_latency | 1 x 25.6 s | lower",
            "Qwen/Qwen2.5-7B-Instruct, context 6144, 2048 tokens, 2 GPUs | speed | 1 x 128 tok/s | higher",
            "Qwen/Qwen2.5-7B-Instruct, context 6144, 2048 tokens, 2 GPUs | e2e_latency | 1 x 16 s | lower",
        ],
    ),
];
