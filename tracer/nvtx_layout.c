// Holds the numbers and places in nvtx.rs against NVTX's headers, of which nothing is needed otherwise (.ci/tracer-layout).
#include <nvtx3/nvToolsExt.h>
#include <stddef.h>
#include <wchar.h>

#define IS(value, expected) _Static_assert((int)(value) == (expected), #value " is another")

IS(NVTX_ETID_CALLBACKS, 1);
IS(offsetof(NvtxExportTableCallbacks, GetModuleFunctionTable), 8);
IS(NVTX_CB_MODULE_CORE, 1);
IS(NVTX_CB_MODULE_CORE2, 5);

IS(NVTX_CBID_CORE_RangeStartEx, 4);
IS(NVTX_CBID_CORE_RangeStartA, 5);
IS(NVTX_CBID_CORE_RangeStartW, 6);
IS(NVTX_CBID_CORE_RangeEnd, 7);
IS(NVTX_CBID_CORE_RangePushEx, 8);
IS(NVTX_CBID_CORE_RangePushA, 9);
IS(NVTX_CBID_CORE_RangePushW, 10);
IS(NVTX_CBID_CORE_RangePop, 11);
IS(NVTX_CBID_CORE2_DomainRangeStartEx, 2);
IS(NVTX_CBID_CORE2_DomainRangeEnd, 3);
IS(NVTX_CBID_CORE2_DomainRangePushEx, 4);
IS(NVTX_CBID_CORE2_DomainRangePop, 5);
IS(NVTX_CBID_CORE2_DomainRegisterStringA, 10);
IS(NVTX_CBID_CORE2_DomainRegisterStringW, 11);
IS(NVTX_CBID_CORE2_DomainCreateA, 12);
IS(NVTX_CBID_CORE2_DomainCreateW, 13);

IS(offsetof(nvtxEventAttributes_t, size), 2);
IS(offsetof(nvtxEventAttributes_t, messageType), 32);
IS(offsetof(nvtxEventAttributes_t, message), 40);
IS(sizeof(nvtxEventAttributes_t), 48);
IS(NVTX_MESSAGE_TYPE_ASCII, 1);
IS(NVTX_MESSAGE_TYPE_UNICODE, 2);
IS(NVTX_MESSAGE_TYPE_REGISTERED, 3);
IS(sizeof(wchar_t), 4);
