/* A stand-in for NVIDIA's management library, for tests on machines without a GPU.
 *
 * BENCH_DIFF_WORKER_CARDS=Small:24,Large:80 are two cards by name and GiB; BENCH_DIFF_WORKER_BUSY=1 is the number of the
 * one that process 4242 computes on. Workers see both, as their names begin so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, CARDS = 8 };

typedef struct { unsigned index; char name[64]; unsigned long long bytes; char uuid[64]; } Card;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;

static Card cards[CARDS];
static unsigned count;

int nvmlInit_v2(void) {
    const char *text = getenv("BENCH_DIFF_WORKER_CARDS");
    char copy[512], *state, *word;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    count = 0;
    for (word = strtok_r(copy, ",", &state); word && count < CARDS; word = strtok_r(NULL, ",", &state)) {
        Card *card = &cards[count];
        unsigned long long gib = 0;
        sscanf(word, "%63[^:]:%llu", card->name, &gib);
        card->bytes = gib << 30;
        card->index = count;
        snprintf(card->uuid, sizeof card->uuid, "GPU-%08x-8af1-4da2-c478-f1ae39137802", 0x3a11cd46u + count);
        count++;
    }
    return SUCCESS;
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned *n) {
    *n = count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Card **card) {
    if (index >= count) return INVALID_ARGUMENT;
    *card = &cards[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Card **card) {
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(cards[i].uuid, uuid) == 0) {
            *card = &cards[i];
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(Card *card, unsigned *index) {
    *index = card->index;
    return SUCCESS;
}

int nvmlDeviceGetUUID(Card *card, char *text, unsigned size) {
    snprintf(text, size, "%s", card->uuid);
    return SUCCESS;
}

int nvmlDeviceGetName(Card *card, char *text, unsigned size) {
    snprintf(text, size, "%s", card->name);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Card *card, Memory *memory) {
    memory->total = card->bytes;
    memory->reserved = memory->used = 0;
    memory->free = card->bytes;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Card *card, unsigned *n, Process *processes) {
    const char *busy = getenv("BENCH_DIFF_WORKER_BUSY");
    unsigned wanted = busy && (unsigned)atoi(busy) == card->index;
    unsigned room = *n;
    *n = wanted;
    if (wanted > room) return INSUFFICIENT_SIZE;
    if (wanted) processes[0] = (Process){4242, 512ull << 20, ~0u, ~0u};
    return SUCCESS;
}

int nvmlSystemGetProcessName(unsigned pid, char *text, unsigned size) {
    snprintf(text, size, "python%u", pid == 4242 ? 3 : 0);
    return SUCCESS;
}
