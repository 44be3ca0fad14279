/* group.h: the goroutines of a scope. They run under a context of their own, the first error cancels the others, and wait
 * joins them all: none outlives it.
 *
 *     cyg_group *g = cyg_group_new(NULL, &(cyg_group_opts){.limit = 8});
 *     for (int i = 0; i < n; i++) cyg_group_go(g, fetch, urls[i]);        // static int fetch(void *url)
 *     int err = cyg_group_wait(g);                                         // the first error; the others were cancelled
 */
#ifndef CYGNET_GROUP_H
#define CYGNET_GROUP_H

#include <cygnet/base.h>
#include <cygnet/context.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

typedef struct cyg_group cyg_group;

typedef struct cyg_group_opts {
    uint32_t limit;   /* goroutines at once; 0: no limit. At the limit cyg_group_go waits, cyg_group_try_go refuses */
    bool keep_going;  /* an error does not cancel the others */
    const char *name; /* of its goroutines, for dumps; must outlive them; NULL: none */
    uint64_t reserve[4]; /* zero */
} cyg_group_opts;

/* A group whose context is a child of parent (NULL: the current one). opts NULL: defaults.
 * Blocks: never. From: goroutine or any thread. Owns: cyg_group_wait frees it and must be called, by one goroutine, once. */
CYG_API cyg_group *cyg_group_new(cyg_ctx *parent, const cyg_group_opts *opts);

/* Starts fn(arg) on a goroutine of the group; what fn returns, if negative, is its error. A group whose context has ended
 * starts nothing more. That fn could not be started counts as an error of the group too, so that a caller who only looks
 * at what cyg_group_wait returns misses nothing.
 * Blocks: parks at the limit, until one of the group ends. From: goroutine, also one of the group (but at the limit a group
 * all of whose goroutines wait to start another waits for ever: use cyg_group_try_go there).
 * Returns: 0; the error of the group's context or of the caller's; CYG_ENOMEM, CYG_ELIMIT of cyg_go. */
#define cyg_group_go(g, fn, arg) cyg_group_go_at((g), (fn), (arg), __FILE__, __LINE__)
CYG_API int cyg_group_go_at(cyg_group *g, int (*fn)(void *), void *arg, const char *file, int line);

/* The same, but never waits: at the limit it starts nothing and returns CYG_ELIMIT, which is no error of the group.
 * From: goroutine or any thread. */
#define cyg_group_try_go(g, fn, arg) cyg_group_try_go_at((g), (fn), (arg), __FILE__, __LINE__)
CYG_API int cyg_group_try_go_at(cyg_group *g, int (*fn)(void *), void *arg, const char *file, int line);

/* The context that its goroutines run under. Owns: borrowed until cyg_group_wait. Blocks: never. From: any thread. */
CYG_API cyg_ctx *cyg_group_ctx(cyg_group *g);

/* Waits until all its goroutines have ended, cancels its context and frees it. When the caller's own context ends, the group
 * is cancelled with that error, and still waited for.
 * Blocks: parks. From: goroutine, none of the group's. Owns: g is gone.
 * Returns: the first error, of a goroutine or of starting one; 0 if there was none. */
CYG_API int cyg_group_wait(cyg_group *g);

CYG_END_DECLS
#endif
