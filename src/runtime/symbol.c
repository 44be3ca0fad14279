/* symbol.c: see symbol.h. Each opening reads the process's mappings anew, so libraries that came since are known, and closing
 * gives all memory back. libdw is found by dlopen: a program that never asks does not load it. */
#include "runtime/symbol.h"
#include "runtime/sched.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef CYG_HAVE_LIBDW
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#endif

#define BUCKETS 1024 /* of the cache of one opening */
#define THREAD_STACK (1u << 20)

struct entry {
    struct entry *next;
    const void *addr;
    bool is_return;
    struct cygrt_symbol sym;
};

struct cygrt_symbols {
    struct entry *buckets[BUCKETS];
#ifdef CYG_HAVE_LIBDW
    Dwfl *dwfl;
#endif
};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void by_dladdr(uintptr_t at, struct cygrt_symbol *out) {
    Dl_info info;
    if (!dladdr((void *)at, &info) || !info.dli_fname) return;
    out->module = base_name(info.dli_fname);
    out->name = info.dli_sname;
    out->offset = at - (uintptr_t)(info.dli_sname ? info.dli_saddr : info.dli_fbase);
}

#ifdef CYG_HAVE_LIBDW
/* What we use of libdw. */
#define FUNCTIONS(X)                \
    X(dwfl_begin)                   \
    X(dwfl_end)                     \
    X(dwfl_linux_proc_report)       \
    X(dwfl_linux_proc_find_elf)     \
    X(dwfl_report_end)              \
    X(dwfl_standard_find_debuginfo) \
    X(dwfl_addrmodule)              \
    X(dwfl_module_addrinfo)         \
    X(dwfl_module_info)             \
    X(dwfl_module_addrdie)          \
    X(dwfl_module_nextcu)           \
    X(dwarf_haspc)                  \
    X(dwarf_getsrc_die)             \
    X(dwarf_linesrc)                \
    X(dwarf_lineno)                 \
    X(dwarf_getscopes)              \
    X(dwarf_getsrcfiles)            \
    X(dwarf_filesrc)                \
    X(dwarf_tag)                    \
    X(dwarf_diename)                \
    X(dwarf_attr)                   \
    X(dwarf_formudata)
#define FIELD(f) __typeof__(f) *f;
static struct {
    FUNCTIONS(FIELD)
    bool there;
} dw;

static void load_dw(void) {
    void *lib = cygrt_debug("nosymbols") ? NULL : dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return;
    dw.there = true;
    void *p;
#define LOAD(f)                \
    if (!(p = dlsym(lib, #f))) \
        dw.there = false;      \
    else                       \
        memcpy(&dw.f, &p, sizeof p);
    FUNCTIONS(LOAD)
}

/* Only files of this machine: with DEBUGINFOD_URLS in the environment libdw would ask servers. */
static int find_debuginfo(Dwfl_Module *mod, void **user, const char *name, Dwarf_Addr base, const char *file,
                          const char *link, GElf_Word crc, char **out) {
    if (getenv("DEBUGINFOD_URLS")) return -1;
    return dw.dwfl_standard_find_debuginfo(mod, user, name, base, file, link, crc, out);
}

static Dwfl_Callbacks callbacks;

static void load_once(void) {
    load_dw();
    callbacks = (Dwfl_Callbacks){.find_elf = dw.dwfl_linux_proc_find_elf, .find_debuginfo = find_debuginfo};
}

static void open_dw(struct cygrt_symbols *s) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    if (!dw.there) return;
    s->dwfl = dw.dwfl_begin(&callbacks);
    if (!s->dwfl) return;
    if (dw.dwfl_linux_proc_report(s->dwfl, getpid()) == 0 && dw.dwfl_report_end(s->dwfl, NULL, NULL) == 0) return;
    dw.dwfl_end(s->dwfl);
    s->dwfl = NULL;
}

/* The compilation unit of an address. clang writes no table of which addresses are whose (.debug_aranges): then each is asked. */
static Dwarf_Die *unit_of(Dwfl_Module *mod, uintptr_t at, Dwarf_Addr *bias) {
    Dwarf_Die *cu = dw.dwfl_module_addrdie(mod, at, bias);
    if (cu) return cu;
    do cu = dw.dwfl_module_nextcu(mod, cu, bias);
    while (cu && dw.dwarf_haspc(cu, at - *bias) != 1);
    return cu;
}

static int number(Dwarf_Die *die, unsigned name) {
    Dwarf_Attribute attr;
    Dwarf_Word v;
    return dw.dwarf_attr(die, name, &attr) && dw.dwarf_formudata(&attr, &v) == 0 ? (int)v : -1;
}

/* Functions that were compiled into others: the address is in all of them, innermost first. */
static void add_inlined(Dwarf_Die *cu, Dwarf_Addr pc, struct cygrt_symbol *sym) {
    Dwarf_Die *scopes = NULL;
    Dwarf_Files *files = NULL;
    size_t nfiles = 0;
    int n = dw.dwarf_getscopes(cu, pc, &scopes);
    (void)dw.dwarf_getsrcfiles(cu, &files, &nfiles);
    for (int i = 0; i < n && dw.dwarf_tag(&scopes[i]) != DW_TAG_subprogram; i++) {
        if (dw.dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine) continue;
        struct cygrt_symbol *outer = calloc(1, sizeof *outer);
        const char *name = dw.dwarf_diename(&scopes[i]);
        if (!outer || !name) {
            free(outer);
            break;
        }
        int file = number(&scopes[i], DW_AT_call_file);
        *outer = *sym;
        outer->file = file >= 0 && files ? dw.dwarf_filesrc(files, (size_t)file, NULL, NULL) : NULL;
        outer->line = number(&scopes[i], DW_AT_call_line);
        sym->name = name;
        sym->outer = outer;
        sym = outer;
    }
    free(scopes);
}

static bool by_dw(Dwfl *dwfl, uintptr_t at, bool code, struct cygrt_symbol *out) {
    Dwfl_Module *mod = dw.dwfl_addrmodule(dwfl, at);
    Dl_info info; /* variables without an initial value lie behind what is mapped of the file: only the linker knows whose */
    if (!mod && !code && dladdr((void *)at, &info)) mod = dw.dwfl_addrmodule(dwfl, (uintptr_t)info.dli_fbase);
    if (!mod) return false;
    GElf_Off offset = 0;
    GElf_Sym sym;
    Dwarf_Addr start = 0, end = 0, bias = 0;
    const char *module = dw.dwfl_module_info(mod, NULL, &start, &end, NULL, NULL, NULL, NULL);
    if (code && (at < start || at >= end)) return true; /* the nearest module is given for what is in none */
    out->module = module ? base_name(module) : NULL;
    out->name = dw.dwfl_module_addrinfo(mod, at, &offset, &sym, NULL, NULL, NULL);
    out->offset = out->name ? offset : at - start;
    Dwarf_Die *cu = code ? unit_of(mod, at, &bias) : NULL;
    Dwarf_Line *line = cu ? dw.dwarf_getsrc_die(cu, at - bias) : NULL;
    if (!line) return true;
    out->file = dw.dwarf_linesrc(line, NULL, NULL);
    (void)dw.dwarf_lineno(line, &out->line);
    if (out->name) add_inlined(cu, at - bias, out);
    return true;
}
#endif

static void resolve(struct cygrt_symbols *s, uintptr_t at, bool code, struct cygrt_symbol *out) {
#ifdef CYG_HAVE_LIBDW
    if (s->dwfl && by_dw(s->dwfl, at, code, out)) return;
#endif
    (void)s, (void)code;
    by_dladdr(at, out);
}

struct cygrt_symbols *cygrt_symbols_open(void) {
    struct cygrt_symbols *s = calloc(1, sizeof *s);
#ifdef CYG_HAVE_LIBDW
    if (s) open_dw(s);
#endif
    return s;
}

void cygrt_symbols_close(struct cygrt_symbols *s) {
    if (!s) return;
#ifdef CYG_HAVE_LIBDW
    if (s->dwfl) dw.dwfl_end(s->dwfl);
#endif
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct entry *e = s->buckets[i], *next; e; e = next) {
            next = e->next;
            for (const struct cygrt_symbol *o = e->sym.outer, *up; o; o = up) {
                up = o->outer;
                free((void *)o);
            }
            free(e);
        }
    free(s);
}

static const struct cygrt_symbol *look_up(struct cygrt_symbols *s, const void *addr, bool is_return) {
    static const struct cygrt_symbol unknown;
    if (!s) return &unknown;
    struct entry **at = &s->buckets[((uintptr_t)addr * 0x9e3779b97f4a7c15u) >> 54];
    for (struct entry *e = *at; e; e = e->next)
        if (e->addr == addr && e->is_return == is_return) return &e->sym;
    struct entry *e = calloc(1, sizeof *e);
    if (!e) return &unknown;
    e->addr = addr;
    e->is_return = is_return;
    /* A call can be its function's last instruction: what it returns to is then another function's first. */
    resolve(s, (uintptr_t)addr - is_return, is_return, &e->sym);
    e->next = *at;
    *at = e;
    return &e->sym;
}

const struct cygrt_symbol *cygrt_symbol_of_return(struct cygrt_symbols *s, const void *pc) {
    return look_up(s, pc, true);
}
const struct cygrt_symbol *cygrt_symbol_of(struct cygrt_symbols *s, const void *addr) {
    return look_up(s, addr, false);
}

struct job {
    void (*fn)(void *);
    void *arg;
};
static void *run_job(void *arg) {
    struct job *j = arg;
    j->fn(j->arg);
    return NULL;
}

void cygrt_on_thread(void (*fn)(void *), void *arg) {
    struct job j = {fn, arg};
    pthread_attr_t attr;
    pthread_t t;
    bool started = false;
    if (cygrt_g() && pthread_attr_init(&attr) == 0) {
        sigset_t all, old;
        sigfillset(&all);
        (void)pthread_attr_setstacksize(&attr, THREAD_STACK);
        pthread_sigmask(SIG_SETMASK, &all, &old); /* the program's signals are not for this thread */
        started = pthread_create(&t, &attr, run_job, &j) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_attr_destroy(&attr);
    }
    if (started)
        pthread_join(t, NULL);
    else
        fn(arg);
}
