/* snapshot_guard.h: in checked builds, what was published with a size is shown to readers as a copy on pages that cannot be written. */
#ifndef CYG_SYNC_SNAPSHOT_GUARD_H
#define CYG_SYNC_SNAPSHOT_GUARD_H

#include "sync/snapshot_slot.h"

#ifdef CYG_CHECKED
int cygrt_guard(struct value *v, size_t size); /* 0: v->shown is the copy; CYG_ENOMEM */
void cygrt_unguard(struct value *v);
#else
static inline int cygrt_guard(struct value *v, size_t size) { return (void)v, (void)size, 0; }
static inline void cygrt_unguard(struct value *v) { (void)v; }
#endif

#endif
