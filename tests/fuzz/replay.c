/* replay.c: the main of a fuzz target when libFuzzer is not there: gives it each file named, and each file of each directory
 * named, once. A target that finds something broken aborts.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void die(const char *path) {
    perror(path);
    exit(2);
}

static void replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) < 0) die(path);
    size_t n = (size_t)st.st_size;
    uint8_t *data = malloc(n ? n : 1); /* exactly as large, for a sanitizer's sake */
    if (!data || fread(data, 1, n, f) != n) die(path);
    fclose(f);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that broke it */
    LLVMFuzzerTestOneInput(data, n);
    free(data);
}

static unsigned replay_directory(const char *path) {
    unsigned n = 0;
    DIR *d = opendir(path);
    if (!d) die(path);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char file[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        replay_file(file);
        n++;
    }
    closedir(d);
    return n;
}

int main(int argc, char **argv) {
    unsigned n = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) < 0) die(argv[i]);
        if (S_ISDIR(st.st_mode)) {
            n += replay_directory(argv[i]);
        } else {
            replay_file(argv[i]);
            n++;
        }
    }
    printf("%u inputs\n", n);
    return n == 0; /* an empty corpus tests nothing */
}
