/* roster.h: all goroutines, looked at while they go on running, and sorted into groups of the same: same state, same start,
 * same stack. Dumps, the goroutine profile and the leak watch are three ways to print one.
 *
 * What is kept of a goroutine is copied; pointers are only followed to what lasts as long as the program (names, files). */
#ifndef CYG_RUNTIME_ROSTER_H
#define CYG_RUNTIME_ROSTER_H

#include "runtime/out.h"
#include "runtime/symbol.h"
#include "runtime/walk.h"

#define CYGRT_SHOWN 8 /* numbers and descriptors named of a group */

/* Where a goroutine came from. */
struct cygrt_start {
    const char *file; /* NULL: a start record */
    int line;
    const void *fn; /* its first function */
};

struct cygrt_seen {
    struct cygrt_start start;
    const char *name;
    uint64_t id, parent;
    uint8_t status, reason;
    int fd;               /* reason READ or WRITE */
    const void *obj;      /* what it waits on; of a blocking call the function */
    const char *obj_name; /* of a channel; NULL: it has none, or they differ */
    cyg_duration age;     /* since it parked */
    struct cygrt_trace trace;
};

struct cygrt_group {
    struct cygrt_group *next, *chain;
    struct cygrt_seen one; /* the first that was found; id 0: start records, of which none has begun */
    uint64_t hash, count;
    cyg_duration youngest, oldest;
    bool same_obj;
    uint64_t ids[CYGRT_SHOWN];
    int fds[CYGRT_SHOWN];
};

struct cygrt_roster {
    struct cygrt_group *groups; /* largest first after cygrt_roster_take */
    size_t ngroups;
    uint64_t goroutines, records, left_out; /* left_out: memory for groups ran out, or there are too many kinds */
};

enum {
    CYGRT_ROSTER_STACKS = 1,  /* sort by stacks too */
    CYGRT_ROSTER_RUNNING = 2, /* and ask the threads of those that run */
    CYGRT_ROSTER_RECORDS = 4, /* idle connections too */
};

/* caller: the goroutine on whose behalf this is done, and its trace; NULL: none. oldest_only > 0: parked for so long. */
void cygrt_roster_take(struct cygrt_roster *c, unsigned flags, cyg_duration min_age, const struct g *caller,
                       const struct cygrt_trace *caller_trace);
void cygrt_roster_free(struct cygrt_roster *c);

/* ---- printing ------------------------------------------------------------------------------------------------------ */

/* Frames of t, innermost first, without the runtime's own that every parked goroutine has; one a line, behind indent. */
void cygrt_print_trace(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_trace *t, const char *indent);
/* "FN@file.c:12", "FN@readiness" or without FN if it is not known; returns buf. */
const char *cygrt_start_text(struct cygrt_symbols *s, const struct cygrt_start *at, char *buf, size_t n);
/* Whether a frame is the runtime's machinery around every goroutine, of no use to a reader. */
bool cygrt_symbol_is_plumbing(const struct cygrt_symbol *sym);

/* ---- poll descriptors of connections (net tells where they are) --------------------------------------------------------- */

struct cygrt_pd;
typedef bool cygrt_pd_visit(struct cygrt_pd *pd, void *arg); /* false: enough */
/* A layer that keeps type-stable poll descriptors says how to visit those in use. From: any thread. src is static; adding it
 * twice is nothing. */
struct cygrt_pd_source {
    struct cygrt_pd_source *next;
    bool (*each)(cygrt_pd_visit *fn, void *arg); /* returns false when fn did */
};
void cygrt_pd_source_add(struct cygrt_pd_source *src);
void cygrt_each_pd(cygrt_pd_visit *fn, void *arg);

/* Who waits on a descriptor, as it looks now (leak.c). */
enum cygrt_attended { CYGRT_BY_NOBODY, CYGRT_BY_GOROUTINE, CYGRT_BY_RECORD };
struct cygrt_attendant {
    enum cygrt_attended by;
    struct cygrt_start start; /* of the goroutine that waits, or of the record */
    uint64_t id;              /* of the goroutine */
};
struct cygrt_attendant cygrt_attendant_of(struct cygrt_pd *pd);

#endif
