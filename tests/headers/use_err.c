/* err.h in use: errors are values, with a sentence and a detail. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/err.h>
#include <errno.h>

int main(void) {
    int err = -ECONNREFUSED; /* the system's are -errno, ours lie below -1000 */
    if (err > CYG_EOF && cyg_strerror(err)[0] == '\0') return 1;
    if (strcmp(cyg_strerror(CYG_ETIMEDOUT), cyg_strerror(CYG_ECANCELED)) == 0) return 2;
    if (cyg_strerror(123456)[0] == '\0') return 3; /* nobody's error still has a text */
    if (cyg_err_detail()[0] != '\0') return 4;     /* no call has failed yet */
    return cyg_fail("listen", err) == err ? 0 : 5; /* prints the sentence, hands the error on */
}
