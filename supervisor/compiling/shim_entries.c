/* A function of its own for each macro that a compiler knows of, made when the shim is compiled: no memory is written and run. */
#define _GNU_SOURCE
#include "entries.h"
#include "shim.h"
#include "table.h"
#include <pthread.h>

static struct {
    void *library;
    size_t index;
} entries[MACROS_MOST];
static size_t unused[MACROS_MOST], unused_count, used_most;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Each is 16 bytes long. The first argument of `run` and its result are passed in memory or by a pointer, so that the second
   argument of hosts_forward() is in a register that can be filled without moving anything. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ENTRY "endbr64\n movl $number, %esi\n jmp hosts_forward\n"
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define ENTRY "hint #34\n movz x1, #number\n b hosts_forward\n"
#else
#error "procedural macros cannot be kept out of a compiler for this processor"
#endif
_Static_assert(MACROS_MOST == 16384, "the number below");
__asm__(".pushsection .text\n .balign 16\n .hidden entries_code\n entries_code:\n .set number, 0\n"
        ".rept 16384\n .balign 16\n" ENTRY ".set number, number + 1\n .endr\n .popsection\n");
extern const char entries_code[] __attribute__((visibility("hidden")));

/* HandleCounters, whose layout is Rust's business: some u32, once some usize, none of which may begin at 0. Handles have to
   differ within a compiler; all libraries may count together. */
static uint32_t counters[COUNTERS] __attribute__((aligned(8))) = {[0 ... COUNTERS - 1] = 1};

uint32_t entries_count(unsigned counter)
{
    return __atomic_load_n(&counters[counter], __ATOMIC_RELAXED);
}

static void *handle_counters(void)
{
    return counters;
}

struct client entries_client(size_t number)
{
    void *function = (void *)(uintptr_t)handle_counters;
    run_function run = (run_function)(uintptr_t)(entries_code + 16 * number);
    return (struct client){shim.layout == LAYOUT_FUNCTION ? function : counters, run};
}

void entries_free(size_t *numbers, size_t count)
{
    pthread_mutex_lock(&lock);
    while (count--)
        unused[unused_count++] = numbers[count];
    pthread_mutex_unlock(&lock);
    free(numbers);
}

size_t *entries_take(void *library, size_t count)
{
    size_t taken = 0, *numbers = calloc(count + 1, sizeof *numbers);
    if (!numbers)
        return 0;
    pthread_mutex_lock(&lock);
    for (; taken < count && (unused_count || used_most < MACROS_MOST); taken++) {
        size_t number = unused_count ? unused[--unused_count] : used_most++;
        numbers[taken] = number;
        entries[number].library = library, entries[number].index = taken;
    }
    pthread_mutex_unlock(&lock);
    if (taken == count)
        return numbers;
    entries_free(numbers, taken);
    return 0;
}

void *entries_find(uint64_t number, size_t *index)
{
    *index = entries[number].index;
    return entries[number].library;
}
