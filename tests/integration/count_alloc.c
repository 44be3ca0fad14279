/* count_alloc.c: counts a program's calls of the allocator from outside, as an LD_PRELOAD library that the test builds. The
 * count is a 64-bit number at the beginning of the file that COUNT_ALLOC names, mapped shared: whoever reads the file sees it
 * grow. Passes on to glibc's own names, so that nothing has to be looked up before the first call. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static uint64_t before_start;
static uint64_t *count = &before_start;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COUNT_ALLOC");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *p = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED) count = p;
}

static void one(void) { __atomic_add_fetch(count, 1, __ATOMIC_RELAXED); }

void *malloc(size_t n) {
    one();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    one();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    one();
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n) {
    one();
    return __libc_memalign(align, n);
}

void *memalign(size_t align, size_t n) {
    one();
    return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n) {
    one();
    void *p = __libc_memalign(align, n);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}
