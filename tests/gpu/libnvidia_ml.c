/* A stand-in for NVIDIA's libnvidia-ml.so.1: the same names and layouts (nvml.h, as nvidia-ml-py calls them), and
 * every answer from a scenario file, so that the real binding runs on top of it on a host without a GPU.
 *
 * As the real library (580.159.04, readelf -V) it has its soname and no symbol versions of its own.
 *
 * A line of the scenario ($WXOPS_NVML_SCENARIO, else /run/nvml-scenario) is
 *     GPU CALL[/ARGUMENT] ANSWER
 * GPU: its index, or * for a call of the system and for all GPUs.
 * ANSWER: the values that the call returns, in its order; `error N` for NVML's error N; `hang` for a call that never
 * returns, `crash` for one that ends the process. The last line that fits counts. A call without a line is not supported.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };
enum { LINES = 4096, WIDTH = 512, WORDS = 64, SYSTEM = -1 };

typedef int Return;
typedef struct Device { int index; } *Handle;
typedef unsigned long long Count;

struct Branch { unsigned version; char name[80]; };
struct Memory { Count total, free, used; };
struct Memory2 { unsigned version; Count total, reserved, free, used; };
struct Repair { unsigned version, channel, tpc; };
struct Temperature { unsigned version, sensor; int degrees; };

static struct { char gpu[8], call[96], answer[WIDTH]; } lines[LINES];
static int line_count = -1;
static struct Device devices[64];

static void read_scenario(void) {
    const char *path = getenv("WXOPS_NVML_SCENARIO");
    FILE *file = fopen(path ? path : "/run/nvml-scenario", "r");
    char line[WIDTH + 128];
    line_count = 0;
    while (file && line_count < LINES && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%7s %95s %511[^\n]", lines[line_count].gpu, lines[line_count].call,
                   lines[line_count].answer) == 3)
            line_count++;
    }
    if (file) fclose(file);
}

static int fits(int at, int gpu, const char *call) {
    if (strcmp(lines[at].call, call)) return 0;
    return !strcmp(lines[at].gpu, "*") || (gpu != SYSTEM && atoi(lines[at].gpu) == gpu);
}

static const char *find(int gpu, const char *call) {
    if (line_count < 0) read_scenario();
    for (int at = line_count - 1; at >= 0; at--)
        if (fits(at, gpu, call)) return lines[at].answer;
    return NULL;
}

/* The answer to a call, or NULL with its error in *code. With an argument CALL/ARGUMENT counts before CALL. */
static const char *ask(int gpu, const char *call, const char *argument, Return *code) {
    char precise[160];
    const char *answer = NULL;
    if (argument) {
        snprintf(precise, sizeof precise, "%s/%s", call, argument);
        answer = find(gpu, precise);
    }
    if (!answer) answer = find(gpu, call);
    *code = SUCCESS;
    if (!answer) *code = NOT_SUPPORTED;
    else if (!strcmp(answer, "hang")) for (;;) pause();
    else if (!strcmp(answer, "crash")) abort();
    else if (!strncmp(answer, "error ", 6)) *code = atoi(answer + 6);
    return *code == SUCCESS ? answer : NULL;
}

static const char *ask_number(int gpu, const char *call, int argument, Return *code) {
    char text[16];
    snprintf(text, sizeof text, "%d", argument);
    return ask(gpu, call, text, code);
}

static int numbers(const char *answer, Count *into) {
    char *end;
    int count = 0;
    while (count < WORDS) {
        Count value = strtoull(answer, &end, 0);
        if (end == answer) break;
        into[count++] = value;
        answer = end;
    }
    return count;
}

static Return text(int gpu, const char *call, char *into, unsigned size) {
    Return code;
    const char *answer = ask(gpu, call, NULL, &code);
    if (!answer) return code;
    if (strlen(answer) >= size) return INSUFFICIENT_SIZE;
    strcpy(into, answer);
    return SUCCESS;
}

static Return uints(int gpu, const char *call, const char *argument, int wanted, unsigned **into) {
    Return code;
    Count values[WORDS] = {0};
    const char *answer = ask(gpu, call, argument, &code);
    if (!answer) return code;
    if (numbers(answer, values) < wanted) return UNKNOWN;
    for (int at = 0; at < wanted; at++) *into[at] = (unsigned)values[at];
    return SUCCESS;
}

static Return count(int gpu, const char *call, const char *argument, Count *into) {
    Return code;
    const char *answer = ask(gpu, call, argument, &code);
    if (answer) *into = strtoull(answer, NULL, 0);
    return code;
}

#define TEXT(call) Return call(Handle gpu, char *into, unsigned size) { return text(gpu->index, #call, into, size); }
#define UINT(call) \
    Return call(Handle gpu, unsigned *into) { return uints(gpu->index, #call, NULL, 1, (unsigned *[]){into}); }
#define UINTS2(call) \
    Return call(Handle gpu, unsigned *one, unsigned *two) { \
        return uints(gpu->index, #call, NULL, 2, (unsigned *[]){one, two}); \
    }
#define UINT_OF(call) \
    Return call(Handle gpu, unsigned argument, unsigned *into) { \
        char word[16]; \
        snprintf(word, sizeof word, "%u", argument); \
        return uints(gpu->index, #call, word, 1, (unsigned *[]){into}); \
    }

/* The system */

static Return start(void) {
    Return code;
    read_scenario();
    ask(SYSTEM, "nvmlInit", NULL, &code);
    return code == NOT_SUPPORTED ? SUCCESS : code;
}

Return nvmlInit_v2(void) { return start(); }
Return nvmlInitWithFlags(unsigned flags) { (void)flags; return start(); }
Return nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(Return code) {
    static char words[32];
    snprintf(words, sizeof words, "NVML error %d", code);
    return words;
}

Return nvmlSystemGetDriverVersion(char *into, unsigned size) {
    return text(SYSTEM, "nvmlSystemGetDriverVersion", into, size);
}
Return nvmlSystemGetNVMLVersion(char *into, unsigned size) { return text(SYSTEM, "nvmlSystemGetNVMLVersion", into, size); }

Return nvmlSystemGetDriverBranch(struct Branch *into, unsigned size) {
    (void)size;
    return text(SYSTEM, "nvmlSystemGetDriverBranch", into->name, sizeof into->name);
}

Return nvmlSystemGetCudaDriverVersion_v2(int *into) {
    return uints(SYSTEM, "nvmlSystemGetCudaDriverVersion", NULL, 1, (unsigned *[]){(unsigned *)into});
}
Return nvmlSystemGetCudaDriverVersion(int *into) { return nvmlSystemGetCudaDriverVersion_v2(into); }

Return nvmlSystemGetProcessName(unsigned pid, char *into, unsigned size) {
    (void)pid;
    return text(SYSTEM, "nvmlSystemGetProcessName", into, size);
}

Return nvmlDeviceGetCount_v2(unsigned *into) {
    Return code = uints(SYSTEM, "nvmlDeviceGetCount", NULL, 1, (unsigned *[]){into});
    if (code == NOT_SUPPORTED) *into = 0, code = SUCCESS;
    return code;
}
Return nvmlDeviceGetCount(unsigned *into) { return nvmlDeviceGetCount_v2(into); }

Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle *into) {
    unsigned found = 0;
    Return code = nvmlDeviceGetCount_v2(&found);
    if (code != SUCCESS) return code;
    if (index >= found || index >= 64) return INVALID_ARGUMENT;
    ask((int)index, "nvmlDeviceGetHandleByIndex", NULL, &code);
    if (code != SUCCESS && code != NOT_SUPPORTED) return code;
    devices[index].index = (int)index;
    *into = &devices[index];
    return SUCCESS;
}
Return nvmlDeviceGetHandleByIndex(unsigned index, Handle *into) { return nvmlDeviceGetHandleByIndex_v2(index, into); }

/* What a GPU is */

TEXT(nvmlDeviceGetName)
TEXT(nvmlDeviceGetUUID)
TEXT(nvmlDeviceGetSerial)
TEXT(nvmlDeviceGetBoardPartNumber)
TEXT(nvmlDeviceGetVbiosVersion)
TEXT(nvmlDeviceGetInforomImageVersion)
UINT(nvmlDeviceGetArchitecture)
UINT(nvmlDeviceGetBrand)
UINT(nvmlDeviceGetMinorNumber)

Return nvmlDeviceGetGspFirmwareVersion(Handle gpu, char *into) {
    return text(gpu->index, "nvmlDeviceGetGspFirmwareVersion", into, 64);
}
UINTS2(nvmlDeviceGetGspFirmwareMode)
UINTS2(nvmlDeviceGetCudaComputeCapability)

struct Pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char address[32]; };

/* ANSWER: an address as 00000000:17:00.0, then device id and subsystem id. */
Return nvmlDeviceGetPciInfo_v3(Handle gpu, struct Pci *into) {
    Return code;
    const char *answer = ask(gpu->index, "nvmlDeviceGetPciInfo", NULL, &code);
    if (!answer) return code;
    memset(into, 0, sizeof *into);
    sscanf(answer, "%31s %x %x", into->address, &into->id, &into->subsystem);
    sscanf(into->address, "%x:%x:%x", &into->domain, &into->bus, &into->device);
    snprintf(into->legacy, sizeof into->legacy, "%04x:%02x:%02x.0", into->domain & 0xffff, into->bus & 0xff,
             into->device & 0xff);
    return SUCCESS;
}
Return nvmlDeviceGetPciInfo_v2(Handle gpu, struct Pci *into) { return nvmlDeviceGetPciInfo_v3(gpu, into); }

/* Memory; ANSWER: total and used bytes */

static Return memory(Handle gpu, Count *total, Count *used) {
    Return code;
    Count values[WORDS] = {0};
    const char *answer = ask(gpu->index, "nvmlDeviceGetMemoryInfo", NULL, &code);
    if (answer) numbers(answer, values), *total = values[0], *used = values[1];
    return code;
}

Return nvmlDeviceGetMemoryInfo(Handle gpu, struct Memory *into) {
    Return code = memory(gpu, &into->total, &into->used);
    if (code == SUCCESS) into->free = into->total - into->used;
    return code;
}

Return nvmlDeviceGetMemoryInfo_v2(Handle gpu, struct Memory2 *into) {
    Return code = memory(gpu, &into->total, &into->used);
    if (code == SUCCESS) into->reserved = 0, into->free = into->total - into->used;
    return code;
}

Return nvmlDeviceGetBAR1MemoryInfo(Handle gpu, struct Memory *into) {
    Return code = count(gpu->index, "nvmlDeviceGetBAR1MemoryInfo", NULL, &into->total);
    into->free = into->total, into->used = 0;
    return code;
}

/* Errors of memory */

UINTS2(nvmlDeviceGetEccMode)

Return nvmlDeviceGetTotalEccErrors(Handle gpu, unsigned error, unsigned counter, Count *into) {
    char argument[16]; /* corrected 0, uncorrected 1; volatile 0, aggregate 1 */
    snprintf(argument, sizeof argument, "%u,%u", error, counter);
    return count(gpu->index, "nvmlDeviceGetTotalEccErrors", argument, into);
}

struct Sram { unsigned version; Count counts[11]; unsigned exceeded; };

/* ANSWER: whether the threshold is exceeded */
Return nvmlDeviceGetSramEccErrorStatus(Handle gpu, struct Sram *into) {
    memset(into->counts, 0, sizeof into->counts);
    return uints(gpu->index, "nvmlDeviceGetSramEccErrorStatus", NULL, 1, (unsigned *[]){&into->exceeded});
}

Return nvmlDeviceGetRemappedRows(Handle gpu, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    return uints(gpu->index, "nvmlDeviceGetRemappedRows", NULL, 4, (unsigned *[]){corrected, uncorrected, pending, failed});
}

/* ANSWER of .../CAUSE: how many pages (cause 0: single bit, 1: double bit) */
Return nvmlDeviceGetRetiredPages(Handle gpu, unsigned cause, unsigned *found, Count *pages) {
    Return code;
    const char *answer = ask_number(gpu->index, "nvmlDeviceGetRetiredPages", (int)cause, &code);
    unsigned room = *found;
    if (!answer) return code;
    *found = (unsigned)atoi(answer);
    if (!pages || room < *found) return *found ? INSUFFICIENT_SIZE : SUCCESS;
    for (unsigned at = 0; at < *found; at++) pages[at] = 0x1000ull * (at + 1);
    return SUCCESS;
}

Return nvmlDeviceGetRetiredPages_v2(Handle gpu, unsigned cause, unsigned *found, Count *pages, Count *times) {
    Return code = nvmlDeviceGetRetiredPages(gpu, cause, found, pages);
    for (unsigned at = 0; code == SUCCESS && times && at < *found; at++) times[at] = 0;
    return code;
}
UINT(nvmlDeviceGetRetiredPagesPendingStatus)

Return nvmlDeviceGetRepairStatus(Handle gpu, struct Repair *into) {
    return uints(gpu->index, "nvmlDeviceGetRepairStatus", NULL, 2, (unsigned *[]){&into->channel, &into->tpc});
}

Return nvmlDeviceValidateInforom(Handle gpu) {
    Return code;
    ask(gpu->index, "nvmlDeviceValidateInforom", NULL, &code);
    return code;
}

/* Field values; ANSWER of .../FIELD: a number */

struct Field {
    unsigned id, scope;
    long long timestamp, latency;
    unsigned type;
    Return code;
    union { double real; unsigned small; Count large; } value;
};

Return nvmlDeviceGetFieldValues(Handle gpu, int wanted, struct Field *fields) {
    for (int at = 0; at < wanted; at++) {
        const char *answer = ask_number(gpu->index, "nvmlDeviceGetFieldValues", (int)fields[at].id, &fields[at].code);
        fields[at].type = 3; /* unsigned long long */
        fields[at].value.large = answer ? strtoull(answer, NULL, 0) : 0;
    }
    return SUCCESS;
}

/* How it runs */

Return nvmlDeviceGetCurrentClocksEventReasons(Handle gpu, Count *into) {
    return count(gpu->index, "nvmlDeviceGetCurrentClocksEventReasons", NULL, into);
}
Return nvmlDeviceGetCurrentClocksThrottleReasons(Handle gpu, Count *into) {
    return nvmlDeviceGetCurrentClocksEventReasons(gpu, into);
}
UINT_OF(nvmlDeviceGetTemperature)
UINT_OF(nvmlDeviceGetTemperatureThreshold)

Return nvmlDeviceGetTemperatureV(Handle gpu, struct Temperature *into) {
    return nvmlDeviceGetTemperature(gpu, into->sensor, (unsigned *)&into->degrees);
}
UINT(nvmlDeviceGetPowerUsage)
UINT(nvmlDeviceGetEnforcedPowerLimit)
UINT(nvmlDeviceGetPowerManagementLimit)
UINT(nvmlDeviceGetPowerManagementDefaultLimit)
UINT(nvmlDeviceGetPersistenceMode)
UINT(nvmlDeviceGetComputeMode)
UINTS2(nvmlDeviceGetMigMode)
UINT(nvmlDeviceGetMaxMigDeviceCount)

/* ANSWER: how many instances there are */
Return nvmlDeviceGetMigDeviceHandleByIndex(Handle gpu, unsigned index, Handle *into) {
    unsigned found = 0;
    Return code = uints(gpu->index, "nvmlDeviceGetMigDeviceHandleByIndex", NULL, 1, (unsigned *[]){&found});
    *into = gpu;
    return code != SUCCESS ? code : index < found ? SUCCESS : 6; /* not found */
}

/* How it is linked */

UINT(nvmlDeviceGetCurrPcieLinkGeneration)
UINT(nvmlDeviceGetMaxPcieLinkGeneration)
UINT(nvmlDeviceGetGpuMaxPcieLinkGeneration)
UINT(nvmlDeviceGetCurrPcieLinkWidth)
UINT(nvmlDeviceGetMaxPcieLinkWidth)
UINT(nvmlDeviceGetPcieSpeed)
UINT(nvmlDeviceGetPcieLinkMaxSpeed)
UINT(nvmlDeviceGetPcieReplayCounter)
UINT_OF(nvmlDeviceGetNvLinkState)
UINT_OF(nvmlDeviceGetNvLinkVersion)
UINT_OF(nvmlDeviceGetNvLinkRemoteDeviceType)

Return nvmlDeviceGetNvLinkErrorCounter(Handle gpu, unsigned link, unsigned counter, Count *into) {
    char argument[32]; /* a healthy link counts corrected CRC errors of data (3), and none of the others */
    if (counter >= 3) return *into = 4, SUCCESS;
    snprintf(argument, sizeof argument, "%u", link);
    return count(gpu->index, "nvmlDeviceGetNvLinkErrorCounter", argument, into);
}

struct Fabric { unsigned version; unsigned char cluster[16]; Return status; unsigned clique, state, health; unsigned char summary; };

/* ANSWER: state, status, health mask, and with version 3 of the structure its summary */
Return nvmlDeviceGetGpuFabricInfoV(Handle gpu, struct Fabric *into) {
    Return code;
    Count values[WORDS] = {0};
    const char *answer = ask(gpu->index, "nvmlDeviceGetGpuFabricInfo", NULL, &code);
    if (!answer) return code;
    numbers(answer, values);
    into->state = (unsigned)values[0], into->status = (Return)values[1], into->health = (unsigned)values[2];
    into->clique = 0;
    if (into->version >> 24 >= 3) into->summary = (unsigned char)values[3];
    return SUCCESS;
}

/* Who uses it; ANSWER: pairs of a process and its bytes */

struct Process { unsigned pid; Count memory; unsigned instance, compute; };

static Return processes(Handle gpu, const char *call, unsigned *found, struct Process *into) {
    Return code;
    Count values[WORDS] = {0};
    const char *answer = ask(gpu->index, call, NULL, &code);
    unsigned room = *found;
    if (!answer) return code;
    *found = (unsigned)numbers(answer, values) / 2;
    if (*found && (!into || room < *found)) return INSUFFICIENT_SIZE;
    for (unsigned at = 0; at < *found; at++)
        into[at] = (struct Process){(unsigned)values[2 * at], values[2 * at + 1], ~0u, ~0u};
    return SUCCESS;
}

Return nvmlDeviceGetComputeRunningProcesses_v3(Handle gpu, unsigned *found, struct Process *into) {
    return processes(gpu, "nvmlDeviceGetComputeRunningProcesses", found, into);
}
Return nvmlDeviceGetGraphicsRunningProcesses_v3(Handle gpu, unsigned *found, struct Process *into) {
    return processes(gpu, "nvmlDeviceGetGraphicsRunningProcesses", found, into);
}
Return nvmlDeviceGetMPSComputeRunningProcesses_v3(Handle gpu, unsigned *found, struct Process *into) {
    return processes(gpu, "nvmlDeviceGetMPSComputeRunningProcesses", found, into);
}
