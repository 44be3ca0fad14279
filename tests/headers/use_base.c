/* base.h in use: slices. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/base.h>
#include <stdio.h>

int main(void) {
    cyg_str host = CYG_STR("example.com"), name = cyg_str_of("Example.COM");
    if (cyg_str_eq(host, name) || !cyg_str_eq_nocase(host, name)) return 1;
    if (cyg_str_of(NULL).n != 0) return 2;
    printf("host " CYG_STR_FMT " with cygnet " CYG_VERSION "\n", CYG_STR_ARG(host));
    return 0;
}
