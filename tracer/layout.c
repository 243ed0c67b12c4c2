// Holds what records.rs reads against CUPTI's headers, of which nothing is needed otherwise. .ci/tracer-layout compiles it with
// the newest records of several versions of CUDA.
#include <cupti.h>
#include <stddef.h>

#define AT(record, field, offset) _Static_assert(offsetof(record, field) == offset, #record "." #field " is elsewhere")
#define SIZE(record, field, size) _Static_assert(sizeof(((record *)0)->field) == size, #record "." #field " has another size")

#define KERNEL(record) \
    AT(record, kind, 0); AT(record, registersPerThread, 6); AT(record, start, 16); AT(record, end, 24); AT(record, deviceId, 40); \
    AT(record, streamId, 48); AT(record, gridX, 52); AT(record, gridZ, 60); AT(record, blockX, 64); AT(record, blockZ, 72); \
    AT(record, staticSharedMemory, 76); AT(record, dynamicSharedMemory, 80); AT(record, correlationId, 92); \
    AT(record, name, 104); AT(record, graphId, 156); SIZE(record, registersPerThread, 2)
#define COPY(record) \
    AT(record, copyKind, 4); AT(record, bytes, 8); AT(record, start, 16); AT(record, end, 24); AT(record, deviceId, 32); \
    AT(record, streamId, 40); AT(record, correlationId, 44); AT(record, graphId, 72); SIZE(record, copyKind, 1)
#define PEER_COPY(record) \
    AT(record, copyKind, 4); AT(record, bytes, 8); AT(record, start, 16); AT(record, end, 24); AT(record, deviceId, 32); \
    AT(record, streamId, 40); AT(record, correlationId, 60); AT(record, graphId, 80)
#define SET(record) \
    AT(record, bytes, 8); AT(record, start, 16); AT(record, end, 24); AT(record, deviceId, 32); AT(record, streamId, 40); \
    AT(record, correlationId, 44); AT(record, graphId, 72)
#define SYNCHRONIZATION(record) AT(record, type, 4); AT(record, start, 8); AT(record, end, 16)
#define MEMORY(record) \
    AT(record, memoryOperationType, 4); AT(record, memoryKind, 8); AT(record, bytes, 24); AT(record, timestamp, 32); \
    AT(record, deviceId, 52)

_Static_assert(CUPTI_ACTIVITY_KIND_MEMCPY == 1 && CUPTI_ACTIVITY_KIND_MEMSET == 2, "kinds");
_Static_assert(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL == 10 && CUPTI_ACTIVITY_KIND_MEMCPY2 == 22, "kinds");
_Static_assert(CUPTI_ACTIVITY_KIND_SYNCHRONIZATION == 38 && CUPTI_ACTIVITY_KIND_MEMORY2 == 49, "kinds");
_Static_assert(CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE == 2 && CUPTI_ACTIVITY_FLAG_FLUSH_FORCED == 1, "values");

KERNEL(KERNEL_RECORD);
COPY(COPY_RECORD);
PEER_COPY(PEER_COPY_RECORD);
SET(SET_RECORD);
SYNCHRONIZATION(SYNCHRONIZATION_RECORD);
MEMORY(MEMORY_RECORD);
