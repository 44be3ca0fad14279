/* context.h: how work is called off. A context is a deadline and a "cancelled" mark with children; a goroutine has a
 * current one, inherited from whoever started it, and every call that parks ends when it ends.
 *
 *     cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, 200 * CYG_MILLISECOND);   // NULL: below the goroutine's own
 *     cyg_ctx_scope scope = cyg_ctx_enter(ctx);
 *     int err = fetch();                                                 // parks below end with CYG_ETIMEDOUT
 *     cyg_ctx_leave(&scope);
 */
#ifndef CYGNET_CONTEXT_H
#define CYGNET_CONTEXT_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_ctx cyg_ctx;

/* The context that never ends. Owns: static; acquire and release do nothing to it. Blocks: never. From: anywhere. */
CYG_API cyg_ctx *cyg_ctx_background(void);

/* The calling goroutine's current context; the background one if it has none. Owns: borrowed until the goroutine leaves it.
 * Blocks: never. From: goroutine or any thread. */
CYG_API cyg_ctx *cyg_ctx_current(void);

/* A child that ends when it is cancelled or parent ends. parent NULL: the goroutine's current context. A child of a context
 * that has ended is born ended. Owns: the caller gets one reference; the child holds one on its parent.
 * Blocks: never. From: goroutine or any thread. */
CYG_API cyg_ctx *cyg_ctx_with_cancel(cyg_ctx *parent);

/* A child that also ends by itself, with CYG_ETIMEDOUT, at deadline (never later than its parent's). As cyg_ctx_with_cancel. */
CYG_API cyg_ctx *cyg_ctx_with_deadline(cyg_ctx *parent, cyg_time deadline);

/* A child that ends d from now. As cyg_ctx_with_deadline. */
CYG_API cyg_ctx *cyg_ctx_with_timeout(cyg_ctx *parent, cyg_duration d);

/* Ends a context and its children: the goroutines that are parked under them come back. cause (negative; 0 means
 * CYG_ECANCELED) is what those calls return. Only the first call counts.
 * Blocks: never. From: goroutine or any thread. */
CYG_API void cyg_ctx_cancel(cyg_ctx *ctx, int cause);

/* 0 while the context lasts; afterwards why it ended: CYG_ETIMEDOUT, CYG_ECANCELED or the cause given. Blocks: never. */
CYG_API int cyg_ctx_err(const cyg_ctx *ctx);

/* When it ends by itself; 0 if never. Blocks: never. From: anywhere. */
CYG_API cyg_time cyg_ctx_deadline(const cyg_ctx *ctx);

/* References. Releasing the last one of a context that has not ended cancels it. Blocks: never. From: any thread. */
CYG_API cyg_ctx *cyg_ctx_acquire(cyg_ctx *ctx);
CYG_API void cyg_ctx_release(cyg_ctx *ctx);

/* The current context before an enter, to be put back by the leave in the same function. */
typedef struct cyg_ctx_scope {
    cyg_ctx *previous;
} cyg_ctx_scope;

/* Makes ctx the goroutine's current context, until cyg_ctx_leave puts the one before back. Scopes nest.
 * Owns: holds a reference to ctx meanwhile. Blocks: never. From: goroutine. */
CYG_API cyg_ctx_scope cyg_ctx_enter(cyg_ctx *ctx);
CYG_API void cyg_ctx_leave(cyg_ctx_scope *scope);

static inline void cyg_ctx_cleanup_(cyg_ctx **ctx) {
    if (*ctx) cyg_ctx_release(*ctx);
}
/* Releases the context when the variable leaves its scope. */
#define cyg_auto_ctx __attribute__((cleanup(cyg_ctx_cleanup_)))

CYG_END_DECLS
#endif
