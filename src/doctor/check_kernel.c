/* check_kernel.c: what the library uses of newer kernels, and what stands in for it here. On this machine each is tried; elsewhere the
 * version decides. CYGNET_DEBUG can force the stand-ins, and counts. */
#include "doctor/checks.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static bool has_pwait2(void) {
    struct epoll_event e;
    return syscall(SYS_epoll_pwait2, -1, &e, 1, NULL, NULL, 0) < 0 && errno != ENOSYS && errno != EPERM;
}

static bool has_membarrier(void) {
    long can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return can >= 0 && (can & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static bool has_guards(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return false;
    bool works = madvise(p, page, MADV_GUARD_INSTALL) == 0;
    munmap(p, page);
    return works;
}

static bool has_sock_diag(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static const struct {
    const char *name, *word;
    unsigned major, minor;
    bool (*has)(void);
    const char *instead;
} features[] = {
    {"epoll_pwait2", "nopwait2", 5, 11, has_pwait2, "timers fire up to 1 ms late"},
    {"membarrier", "nomembarrier", 4, 14, has_membarrier, "each cyg_blocking call costs a fence, some 20 ns"},
    {"MADV_GUARD_INSTALL", "noguard", 6, 13, has_guards, "guard pages take mappings: see max_map_count"},
    {"NETLINK_SOCK_DIAG", "nosockdiag", 3, 3, has_sock_diag,
     "sockets by state are read from /proc/net/tcp, three times as slow"},
};
#define FEATURES (sizeof features / sizeof *features)

static void kernel_features(struct doc_machine *m, struct doc_finding *f) {
    char release[64];
    unsigned missing = 0;
    ssize_t n = doc_read(m, "/proc/sys/kernel/osrelease", release, sizeof release);
    if (n <= 0) {
        doc_unknown(f, "/proc/sys/kernel/osrelease");
        return;
    }
    if (release[n - 1] == '\n') release[n - 1] = 0;
    for (size_t i = 0; i < FEATURES; i++) {
        bool forced = doc_debug_word(m, features[i].word);
        bool has = m->live ? features[i].has() : doc_kernel_at_least(m, features[i].major, features[i].minor);
        if (has && !forced) continue;
        missing++;
        doc_cost(f, "Without %s%s: %s.", features[i].name, forced ? " (CYGNET_DEBUG)" : "", features[i].instead);
    }
    doc_value(f, "Linux %s, %zu of %zu", release, FEATURES - missing, FEATURES);
    if (!missing) {
        doc_cost(f, "epoll_pwait2, membarrier, MADV_GUARD_INSTALL, NETLINK_SOCK_DIAG: no stand-in is in use.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_fix(f, "# Linux 6.13 or later has them all, unless a container's seccomp profile refuses them");
}
const struct doc_check doc_kernel_features = {
    "kernel_features",
    "what the library uses of newer kernels, and what stands in where it is missing",
    "each is tried; /proc/sys/kernel/osrelease",
    "note if one is missing",
    kernel_features,
    false};
