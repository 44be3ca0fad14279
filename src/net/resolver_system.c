/* resolver_system.c: asking the C library, which reads nsswitch.conf and blocks: on threads that may, no more than max_threads at once
 * (res_next_queued counts them, as max_queries). Whoever gives up waiting leaves the call to itself. */
#include <netdb.h>
#include <netinet/in.h>

#include "net/internal.h"
#include "net/resolver_internal.h"

#define STACK (1u << 20)

struct question {
    const char *name;
    enum res_type type;
    struct addrinfo *list;
    int e;
};

static int ask_blocking(void *arg) {
    struct question *q = arg;
    struct addrinfo hints = {.ai_family = q->type == RES_A ? AF_INET : AF_INET6, .ai_socktype = SOCK_STREAM};
    q->e = getaddrinfo(q->name, NULL, &hints, &q->list);
    return 0;
}

static struct res_answer *records(enum res_type type, const struct addrinfo *list) {
    size_t n = 0;
    for (const struct addrinfo *i = list; i && n < RES_ITEMS; i = i->ai_next) n++;
    struct res_answer *a = res_answer_new(n);
    for (const struct addrinfo *i = list; a && n > 0; i = i->ai_next, n--) {
        union sockaddr_any sa;
        cyg_addr addr;
        memcpy(&sa, i->ai_addr, i->ai_addrlen);
        addr_from_sockaddr(&sa, i->ai_addrlen, &addr);
        memcpy(a->items[a->n - n].ip, addr.ip, type == RES_A ? 4 : 16);
    }
    return a;
}

static struct res_answer *understand(struct cyg_resolver *r, struct question *q, enum res_outcome *outcome) {
    struct res_answer *a = NULL;
    switch (q->e) {
    case 0:
        a = records(q->type, q->list);
        freeaddrinfo(q->list);
        *outcome = a ? RES_GOT : RES_FAILED;
        if (a) a->life = r->o.system_ttl > 0 ? r->o.system_ttl : 0;
        return a ? a : res_answer_of_error(CYG_ENOMEM, NULL, 0);
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
#endif
        *outcome = RES_NO_NAME;
        return res_answer_of_error(CYG_ENONAME, NULL, r->o.system_ttl);
    case EAI_MEMORY: *outcome = RES_FAILED; return res_answer_of_error(CYG_ENOMEM, NULL, 0);
    default: *outcome = RES_FAILED; return res_answer_of_error(CYG_ELOOKUP, gai_strerror(q->e), r->o.failure_ttl);
    }
}

/* Asks e, then what is next in the queue. */
static void ask(void *arg) {
    struct res_entry *e = arg;
    struct cyg_resolver *r = e->resolver;
    while (e) {
        struct question q = {.name = e->name, .type = e->type};
        (void)cyg_blocking(ask_blocking, &q);
        enum res_outcome outcome;
        struct res_answer *a = understand(r, &q, &outcome);
        cyg_mutex_lock(&r->lock);
        res_answered(r, e, a, outcome);
        e = res_next_queued(r);
        cyg_mutex_unlock(&r->lock);
    }
    res_memory_release(r);
}

void res_system_start(struct cyg_resolver *r, struct res_entry *e) {
    atomic_fetch_add(&r->memory, 1);
    cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background());
    cyg_go_opts how = {.name = "getaddrinfo", .stack_size = STACK}; /* NSS modules may go deep */
    int err = cyg_go_with(&how, ask, e);
    cyg_ctx_leave(&scope);
    for (; err && e;) { /* no goroutine can be had; nor for those behind it */
        cyg_mutex_lock(&r->lock);
        res_answered(r, e, res_answer_of_error(err, NULL, 0), RES_FAILED);
        e = res_next_queued(r);
        cyg_mutex_unlock(&r->lock);
    }
    if (err) res_memory_release(r);
}
