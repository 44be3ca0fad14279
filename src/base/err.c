/* err.c: the sentence for an error. The goroutine's detail is the runtime's (runtime/detail.c). */
#include <cygnet/err.h>
#include <string.h>

static const char *own(int err) {
    switch (err) {
    case CYG_OK: return "success";
    case CYG_EOF: return "end of stream";
    case CYG_ETIMEDOUT: return "deadline exceeded";
    case CYG_ECANCELED: return "context cancelled";
    case CYG_ECLOSED: return "use of a closed object";
    case CYG_ENOTSUP: return "operation not supported by this object";
    case CYG_ENOMEM: return "out of memory";
    case CYG_EINVAL: return "invalid argument";
    case CYG_ELIMIT: return "limit reached";
    case CYG_EPROTO: return "protocol error";
    case CYG_ESTATE: return "not possible in this state";
    case CYG_EPARSE: return "text not understood";
    case CYG_EAGAIN: return "would have to wait";
    case CYG_ENONAME: return "no such name";
    case CYG_ELOOKUP: return "name servers failed";
    default: return "unknown error";
    }
}

/* The system's sentence, from a table that is never freed: strerror() is not thread-safe. */
static const char *system_error(int err) {
    const char *s = strerrordesc_np(-err);
    return s ? s : "unknown error";
}

const char *cyg_strerror(int err) { return err < 0 && err > -1000 ? system_error(err) : own(err); }
