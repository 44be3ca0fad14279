/* copy_buffers.c: buffers of copies that the kernel cannot do alone. Two sizes: a copy begins with a small one, so that many
 * that wait for a little hold little, and goes on with a large one when reads fill it. A buffer knows its size, so one from
 * before a change of the limits is told apart and freed. */
#include <stdlib.h>

#include "base/spin.h"
#include "io/copy_internal.h"

static struct {
    uint32_t lock; /* of what follows */
    struct copy_buffer *free;
    int nfree;
    uint64_t in_use;
} pools[2]; /* small, large */

static size_t size_of(bool large) {
    size_t most = copy_limits().buffer_bytes;
    return large || most < SMALL_BUFFER ? most : SMALL_BUFFER;
}

struct copy_buffer *copy_buffer_get(bool large) {
    size_t size = size_of(large);
    cyg_spin_lock(&pools[large].lock);
    struct copy_buffer *b = pools[large].free;
    if (b) {
        pools[large].free = b->next;
        pools[large].nfree--;
    }
    pools[large].in_use++;
    cyg_spin_unlock(&pools[large].lock);
    if (b && b->size != size) {
        free(b);
        b = NULL;
    }
    if (!b && (b = malloc(sizeof *b + size))) {
        b->size = size;
        b->large = large;
    }
    if (b) return b;
    cyg_spin_lock(&pools[large].lock);
    pools[large].in_use--;
    cyg_spin_unlock(&pools[large].lock);
    return NULL;
}

void copy_buffer_put(struct copy_buffer *b) {
    bool large = b->large;
    int idle = copy_limits().idle_buffers;
    cyg_spin_lock(&pools[large].lock);
    pools[large].in_use--;
    bool keep = pools[large].nfree < idle;
    if (keep) {
        b->next = pools[large].free;
        pools[large].free = b;
        pools[large].nfree++;
    }
    cyg_spin_unlock(&pools[large].lock);
    if (!keep) free(b);
}

void copy_buffers_trim(int keep) {
    for (int large = 0; large < 2; large++)
        for (;;) {
            cyg_spin_lock(&pools[large].lock);
            struct copy_buffer *b = pools[large].nfree > keep ? pools[large].free : NULL;
            if (b) {
                pools[large].free = b->next;
                pools[large].nfree--;
            }
            cyg_spin_unlock(&pools[large].lock);
            if (!b) break;
            free(b);
        }
}

void copy_buffers_stats(cyg_copy_stats *out) {
    for (int large = 0; large < 2; large++) {
        cyg_spin_lock(&pools[large].lock);
        out->buffers_in_use += pools[large].in_use;
        out->buffers_idle += (uint64_t)pools[large].nfree;
        cyg_spin_unlock(&pools[large].lock);
    }
}
