// Runs the tests whose names contain one of the arguments, or all. Exit code 1: one failed. 2: none could be run.

#include "tests.cuh"

#include <csignal>
#include <cstring>
#include <unistd.h>

// A block that waits for a word that nobody writes waits for ever.
static const unsigned kSeconds = 120;

static bool g_failed;
static double g_bound, g_worst;
static int g_cases;

std::vector<Test>& all_tests() {
    static std::vector<Test> tests;
    return tests;
}

void measured(const std::string& what, double error) {
    ++g_cases;
    // Not std::max, and not `error > bound`: NaN must count.
    if (!(error <= g_worst)) g_worst = std::isnan(error) ? INFINITY : error;
    if (error <= g_bound) return;
    g_failed = true;
    printf("     %s: error %g\n", what.c_str(), error);
}

static bool passes(const Test& test) {
    g_failed = false, g_bound = test.bound, g_worst = 0, g_cases = 0;
    alarm(kSeconds);
    test.run();
    CHECK(cudaDeviceSynchronize());
    const bool good = !g_failed && g_cases > 0;
    printf("%-4s %-52s %4d cases, error %.3g (bound %.3g)\n", good ? "ok" : "FAIL", test.name, g_cases, g_worst,
           g_bound);
    fflush(stdout);
    return good;
}

static bool asked_for(const Test& test, int argc, char** argv) {
    return argc == 1 || std::any_of(argv + 1, argv + argc, [&](const char* name) { return strstr(test.name, name); });
}

// These tests were compiled for one GPU.
static bool has_gpu() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        fprintf(stderr, "the kernels' tests need a CUDA GPU: %s\n", cudaGetErrorString(status));
        return false;
    }
    cudaDeviceProp properties;
    CHECK(cudaGetDeviceProperties(&properties, 0));
    const int capability = properties.major * 10 + properties.minor;
    if (capability != COMPUTE_CAPABILITY)
        fprintf(stderr,
                "compiled for compute capability %d, but this GPU has %d: set CUDA_COMPUTE_CAP and build again\n",
                COMPUTE_CAPABILITY, capability);
    return capability == COMPUTE_CAPABILITY;
}

int main(int argc, char** argv) {
    if (!has_gpu()) return 2;
    signal(SIGALRM, [](int) {
        const char text[] = "FAIL the test takes too long: a block may be waiting for another\n";
        if (write(2, text, sizeof text - 1) >= 0) _exit(1);
        _exit(1);
    });
    int failed = 0, run = 0;
    for (const Test& test : all_tests()) {
        if (!asked_for(test, argc, argv)) continue;
        ++run;
        failed += !passes(test);
    }
    printf("%d of %d tests failed\n", failed, run);
    if (run == 0) return 2;
    return failed ? 1 : 0;
}
