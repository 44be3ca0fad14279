/* local.h: values of a goroutine, as thread-locals are of a thread: what a call far below needs and no argument carries, such
 * as the trace that a request belongs to. A goroutine that has none pays nothing.
 *
 *     static cyg_local_key user = {.inherit = cyg_local_same};
 *     cyg_local_set(&user, "alice");
 *     cyg_go(handle, arg);                        // its cyg_local_get(&user) is "alice" too
 */
#ifndef CYGNET_LOCAL_H
#define CYGNET_LOCAL_H

#include <cygnet/base.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

/* What names a value; static, never changed after its first use. The zero value: no destructor, not inherited. */
typedef struct cyg_local_key {
    /* Called with a value that is not NULL when its goroutine ends, on that goroutine (it may park), after the values may
     * be asked for no more; a value that it sets is destroyed in turn, four times over at most. Not called for a value
     * that cyg_local_set replaces. NULL: nothing is done. */
    void (*destroy)(void *value);
    /* Called by a goroutine that starts another, for its own value: returns the value of the new goroutine, NULL for none.
     * Must not park. NULL: a new goroutine has none. */
    void *(*inherit)(void *value);
} cyg_local_key;

/* An inherit that passes the same pointer on; the value must outlive all that may have it. */
CYG_API void *cyg_local_same(void *value);

/* The calling goroutine's value; NULL if it has none, or on a foreign thread. Blocks: never. From: anywhere but a signal
 * handler. Owns: borrowed. */
CYG_API void *cyg_local_get(const cyg_local_key *key);

/* Sets the calling goroutine's value; NULL takes it away. Blocks: never. From: goroutine. Owns: the goroutine has value until
 * it ends, the value it had before is the caller's again. Returns: 0, CYG_ENOMEM, CYG_ESTATE on a foreign thread. */
CYG_API int cyg_local_set(const cyg_local_key *key, void *value);

CYG_END_DECLS
#endif
