/* snapshot_guard.c: copies of published values on read-only pages, and a table of them that the handler of SIGSEGV looks into, to say
 * who wrote to what. A row is complete before its base is set; it is cleared the other way round. */
#include "sync/snapshot_guard.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS 4096 /* copies beyond them are protected too, but nobody is named */

static struct row {
    _Atomic(char *) base;
    _Atomic size_t bytes;
    const char *_Atomic name;
    const char *_Atomic file;
    _Atomic int line;
} rows[ROWS];

static char claimed[1]; /* the base of a row that is being filled */

static int name_it(const void *addr, char *line, size_t n) {
    const char *p = addr;
    for (size_t i = 0; i < ROWS; i++) {
        char *base = atomic_load(&rows[i].base);
        if (!base || base == claimed || p < base || p >= base + atomic_load(&rows[i].bytes)) continue;
        const char *name = atomic_load(&rows[i].name), *file = atomic_load(&rows[i].file);
        return snprintf(line, n, "wrote to byte %zu of a published value of snapshot \"%s\" (published at %s:%d)\n",
                        (size_t)(p - base), name ? name : "", file ? file : "?", atomic_load(&rows[i].line));
    }
    return 0;
}

static void note(const struct value *v) {
    for (size_t i = 0; i < ROWS; i++) {
        char *none = NULL;
        if (!atomic_compare_exchange_strong(&rows[i].base, &none, claimed)) continue;
        atomic_store(&rows[i].bytes, v->copy_bytes);
        atomic_store(&rows[i].name, v->family->name);
        atomic_store(&rows[i].file, v->file);
        atomic_store(&rows[i].line, v->line);
        atomic_store(&rows[i].base, v->shown);
        return;
    }
}

bool cygrt_guard_wanted(void) {
#ifdef CYG_CHECKED
    return true;
#else
    return cygrt_debug("snapshots");
#endif
}

int cygrt_guard(struct value *v, size_t size) {
    if (size == 0) return 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size + page - 1) / page * page;
    char *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) return CYG_ENOMEM;
    memcpy(copy, v->original, size);
    if (mprotect(copy, bytes, PROT_READ) != 0) {
        munmap(copy, bytes);
        return CYG_ENOMEM;
    }
    v->shown = copy;
    v->copy_bytes = bytes;
    atomic_store(&cygrt_fault_says, name_it);
    note(v);
    return 0;
}

void cygrt_unguard(struct value *v) {
    if (v->copy_bytes == 0) return;
    for (size_t i = 0; i < ROWS; i++)
        if (atomic_load(&rows[i].base) == v->shown) {
            atomic_store(&rows[i].base, NULL);
            break;
        }
    munmap(v->shown, v->copy_bytes);
}
