/* signal.c: signals. Handlers run on an alternate stack of their M; they set words and write to an eventfd, nothing more,
 * except the one for faults, which says what happened and lets the process die. */
#include "base/fatal.h"
#include "runtime/fiber.h"
#include "runtime/sched.h"
#include "runtime/walk.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t sigstack_size(void) {
    size_t min = (size_t)getauxval(AT_MINSIGSTKSZ); /* what the processor's vector state needs */
    return (min > 16384 ? min + 16384 : 32768);
}

void cygrt_sigstack_init(struct m *m) {
    size_t n = sigstack_size();
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE)) return; /* a sanitizer has set one */
    m->sigstack = malloc(n);
    if (!m->sigstack) return;
    stack_t st = {.ss_sp = m->sigstack, .ss_size = n};
    if (sigaltstack(&st, NULL) != 0) cygrt_sigstack_free(m);
}

void cygrt_sigstack_free(struct m *m) {
    if (!m->sigstack) return;
    stack_t st = {.ss_flags = SS_DISABLE};
    sigaltstack(&st, NULL);
    free(m->sigstack);
    m->sigstack = NULL;
}

int (*_Atomic cygrt_fault_says)(const void *addr, char *line, size_t n);

/* ---- faults: the process dies, and says why ----------------------------------------------------------------------------
 *
 * snprintf is not async-signal-safe by the letter; into a local buffer, with integers and strings only, glibc's is. dladdr takes the
 * dynamic linker's lock, which nobody of ours holds when he faults. */

/* "cygnet: fatal: goroutine 7 (load, started at app.c:12) ". Returns its length. */
static int say_who(const struct g *g, char *line, size_t room) {
    if (!g) return snprintf(line, room, "cygnet: fatal: a thread that runs no goroutine ");
    int n =
        snprintf(line, room, "cygnet: fatal: goroutine %llu (%.60s%sstarted at %.200s:%d) ", (unsigned long long)g->id,
                 g->name ? g->name : "", g->name ? ", " : "", g->file ? g->file : "a connection's readiness", g->line);
    return n < (int)room ? n : (int)room - 1;
}

/* Where it was, as offsets into program or library: what is needed for names must not be done here. */
static void say_where(struct g *g, const void *context) {
    struct cygrt_trace t;
    char line[400];
    Dl_info info;
    cygrt_walk_context(g, context, &t);
    for (unsigned i = 0; i < t.n; i++) {
        const char *pc = (const char *)t.pc[i] - 1; /* within the call */
        int n = dladdr(pc, &info) && info.dli_fname ? snprintf(line, sizeof line, "    %.300s+%#llx\n", info.dli_fname,
                                                               (unsigned long long)(pc - (const char *)info.dli_fbase))
                                                    : snprintf(line, sizeof line, "    %p\n", (const void *)pc);
        (void)!write(2, line, (size_t)n);
    }
    static const char hint[] = "    (addr2line -ifpe PROGRAM OFFSET names a line)\n";
    if (t.n) (void)!write(2, hint, sizeof hint - 1);
}

static void on_fault(int sig, siginfo_t *info, void *context) {
    char line[800];
    bool in_guard = false;
    struct g *owner = cygrt_stack_owner(info->si_addr, &in_guard), *g = cygrt_g();
    bool overflow = owner && in_guard;
    int (*says)(const void *, char *, size_t) = atomic_load(&cygrt_fault_says);
    int n = say_who(overflow ? owner : g, line, sizeof line), more = 0;
    if (overflow)
        more = snprintf(line + n, sizeof line - (size_t)n,
                        "overflowed its %zu KiB stack (cyg_go_opts.stack_size sets another)\n",
                        ((size_t)1 << owner->size_class) >> 10);
    else if (says)
        more = says(info->si_addr, line + n, sizeof line - (size_t)n);
    bool known = more > 0;
    if (!known)
        more = snprintf(line + n, sizeof line - (size_t)n, "died of signal %d (%s) at address %p:\n", sig,
                        sig == SIGBUS ? "bus error" : "segmentation fault", info->si_addr);
    size_t total = (size_t)(n + more); /* of snprintf: what it would have taken */
    (void)!write(2, line, total < sizeof line ? total : sizeof line - 1);
    if (!known) say_where(g, context);
    signal(sig, SIG_DFL); /* the faulting instruction runs again and dumps core */
}

/* ---- asynchronous signals ---------------------------------------------------------------------------------------------- */

/* ThreadSanitizer keeps a signal until its thread calls something that it intercepts, on the stack that was running. A thread that sleeps in a
 * system call of ours does not, nor does a goroutine that has been left for another: the signal would wait for ever. */
int cygrt_sigaction(int sig, const struct sigaction *sa) {
#ifdef CYGRT_HANDLERS_BARE
    int (*libc_s)(int, const struct sigaction *, struct sigaction *);
    *(void **)&libc_s = dlsym(RTLD_NEXT, "sigaction");
    if (libc_s) return libc_s(sig, sa, NULL);
#endif
    return sigaction(sig, sa, NULL);
}

CYGRT_IN_HANDLER static void on_quit(int sig) {
    (void)sig;
    int *e = cyg_errno_location(), saved = *e;
    atomic_store(&cygrt_sched.dump_wanted, 1);
    cygrt_sysmon_poke();
    *e = saved;
}

void cygrt_install_signals(void) {
    struct sigaction sa = {.sa_flags = SA_ONSTACK | SA_SIGINFO | SA_NODEFER};
    sa.sa_sigaction = on_fault;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sa = (struct sigaction){.sa_flags = SA_ONSTACK | SA_RESTART, .sa_handler = on_quit};
    cygrt_sigaction(SIGQUIT, &sa);
    cygrt_walk_install();
    signal(SIGPIPE, SIG_IGN);
}

/* ---- cyg_signal_wait ------------------------------------------------------------------------------------------------ */

static _Atomic uint64_t pending;   /* signals that came and were not taken */
static _Atomic uint64_t installed; /* signals with our handler */
static _Atomic int signal_fd = -1; /* an eventfd: every signal writes */

CYGRT_IN_HANDLER static void on_signal(int sig) {
    int *e = cyg_errno_location(), saved = *e;
    atomic_fetch_or(&pending, CYG_SIGNAL(sig));
    uint64_t one = 1;
    (void)!syscall(SYS_write, atomic_load(&signal_fd), &one, sizeof one); /* not write, which ThreadSanitizer intercepts */
    *e = saved;
}

static int install(uint64_t mask) {
    if (atomic_load(&signal_fd) < 0) {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), none = -1;
        if (fd < 0) return -errno;
        if (!atomic_compare_exchange_strong(&signal_fd, &none, fd)) close(fd);
    }
    uint64_t fresh = mask & ~atomic_fetch_or(&installed, mask);
    for (; fresh; fresh &= fresh - 1) {
        struct sigaction sa = {.sa_flags = SA_ONSTACK | SA_RESTART, .sa_handler = on_signal};
        if (cygrt_sigaction(__builtin_ctzll(fresh) + 1, &sa) == 0) continue;
        int err = -errno;
        atomic_fetch_and(&installed, ~fresh); /* this one and those behind it: the next call tries again */
        return err;
    }
    return 0;
}

int cyg_signal_wait(uint64_t mask, cyg_time deadline) {
    if (!mask) return CYG_EINVAL;
    int err = install(mask);
    if (err < 0) return err;
    for (;;) {
        uint64_t count;
        (void)!read(atomic_load(&signal_fd), &count, sizeof count); /* clears it; a later signal writes again */
        uint64_t got = atomic_load(&pending) & mask;
        if (got) {
            uint64_t first = got & -got;
            atomic_fetch_and(&pending, ~first);
            return __builtin_ctzll(first) + 1;
        }
        err = cyg_fd_wait(atomic_load(&signal_fd), CYG_READABLE, deadline);
        if (err < 0) return err;
    }
}
