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

/* The same, with words for whoever reads the log: "upstream 10.0.0.7 answered 503". The text is cut at 255 bytes. */
CYG_API void cyg_ctx_cancel_because(cyg_ctx *ctx, int cause, const char *fmt, ...) CYG_PRINTF(3, 4);

/* 0 while the context lasts; afterwards why it ended: CYG_ETIMEDOUT, CYG_ECANCELED or the cause given. Blocks: never. */
CYG_API int cyg_ctx_err(const cyg_ctx *ctx);

/* Why it ended, in words: the text given when it or the ancestor that took it along was cancelled; without one the sentence
 * of cyg_ctx_err; "" while it lasts. Blocks: never. From: goroutine or any thread. Owns: the text lives as long as ctx. */
CYG_API const char *cyg_ctx_cause(const cyg_ctx *ctx);

/* When it ends by itself; 0 if never. Blocks: never. From: anywhere. */
CYG_API cyg_time cyg_ctx_deadline(const cyg_ctx *ctx);

/* References. Releasing the last one of a context that has not ended cancels it. Blocks: never. From: any thread. */
CYG_API cyg_ctx *cyg_ctx_acquire(cyg_ctx *ctx);
CYG_API void cyg_ctx_release(cyg_ctx *ctx);

/* ---- values --------------------------------------------------------------------------------------------------------- */

/* A child that carries a value for whoever works under it: what belongs to one request and crosses layers that do not know
 * it. key is an address that only the package that stores the value knows (of a static variable of its own). The child can
 * be cancelled like any other. Owns: value stays the caller's affair and must outlive the context. As cyg_ctx_with_cancel. */
CYG_API cyg_ctx *cyg_ctx_with_value(cyg_ctx *parent, const void *key, void *value);

/* The same, but destroy(value) is called when the last that can see the value has gone; it must not park. */
CYG_API cyg_ctx *cyg_ctx_with_owned_value(cyg_ctx *parent, const void *key, void *value, void (*destroy)(void *value));

/* The value for key in ctx (NULL: the current one) or its nearest ancestor; NULL if there is none.
 * Blocks: never. From: goroutine or any thread. Owns: borrowed for as long as ctx lives. */
CYG_API void *cyg_ctx_value(const cyg_ctx *ctx, const void *key);

/* A context with parent's values that does not end with it and has no deadline: for what must be finished after a request
 * has gone. As cyg_ctx_with_cancel, but parent is not kept from being cancelled by its last release. */
CYG_API cyg_ctx *cyg_ctx_detached(cyg_ctx *parent);

/* ---- what happens at the end ------------------------------------------------------------------------------------------ */

/* A function that waits for a context's end. */
typedef struct cyg_ctx_after cyg_ctx_after;

/* Runs fn(arg) once, on a goroutine of its own under the background context, when ctx ends; at once if it has. On the
 * background context it never runs.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: *out (out may be NULL) holds a reference that
 * cyg_ctx_after_release drops; releasing does not stop it; ctx is not kept from ending by its last release.
 * Returns: 0, CYG_ENOMEM, or CYG_ESTATE without a runtime. */
CYG_API int cyg_ctx_after_func(cyg_ctx *ctx, void (*fn)(void *), void *arg, cyg_ctx_after **out);

/* Keeps fn from running. Blocks: never; if fn has begun, it is not waited for. From: goroutine or any thread.
 * Returns: true if fn had not been started and now never will be; false if it has been, or a stop came before. */
CYG_API bool cyg_ctx_after_stop(cyg_ctx_after *a);

/* Drops the caller's reference; NULL is fine. Blocks: never. */
CYG_API void cyg_ctx_after_release(cyg_ctx_after *a);

/* ---- the current context --------------------------------------------------------------------------------------------- */

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
