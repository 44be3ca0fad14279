/* snapshot_guard.h: what was published with a size is shown to readers as a copy on pages that cannot be written: in checked builds, and
 * in others with CYGNET_DEBUG=snapshots. */
#ifndef CYG_SYNC_SNAPSHOT_GUARD_H
#define CYG_SYNC_SNAPSHOT_GUARD_H

#include "sync/snapshot_slot.h"

bool cygrt_guard_wanted(void);                 /* asks the environment */
int cygrt_guard(struct value *v, size_t size); /* 0: v->shown is the copy; CYG_ENOMEM */
void cygrt_unguard(struct value *v);           /* one without a copy, too */

#endif
