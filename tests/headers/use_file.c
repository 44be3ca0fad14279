/* file.h in use: write, read at a place, read a part, copy. Compiles as C11 and C++17, ends with 0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include <cygnet/file.h>
#include <cygnet/runtime.h>
#include <cygnet/streams.h>

static int use(cyg_file *f) {
    char text[6];
    if (cyg_write(f, "0123456789", 10) != 10 || cyg_file_pwrite(f, "AB", 2, 3) != 2) return 1;
    if (cyg_file_sync(f) != 0 || cyg_file_size(f) != 10) return 2;
    if (cyg_file_pread(f, text, 6, 2) != 6 || memcmp(text, "2AB567", 6) != 0) return 3;
    if (cyg_read(f, text, 6) != CYG_EOF || cyg_file_seek(f, 8, SEEK_SET) != 8 || cyg_read(f, text, 6) != 2) return 4;

    cyg_section part;
    cyg_membuf out;
    cyg_section_init(&part, f, 2, 4);
    cyg_membuf_init(&out, 100);
    if (cyg_copy(&out.stream, &part.stream, NULL) != 4) return 5;
    if (!cyg_str_eq(cyg_membuf_data(&out), CYG_STR("2AB5"))) return 6;
    cyg_membuf_free(&out);
    return 0;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_file cyg_file *f = NULL;
    if (cyg_file_open("/nowhere/at/all", O_RDONLY, 0, &f) != -ENOENT || f) return 1;
    if (cyg_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &f) != 0) return 2; /* has no name, goes when it is closed */
    int where = use(f);
    return where == 0 ? 0 : 10 + where;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
