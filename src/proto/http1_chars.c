/* http1_chars.c: the table of byte classes, computed by the compiler from the grammar's own words. */
#include "proto/http1_chars.h"

#define IN(c, lo, hi) ((c) >= (lo) && (c) <= (hi))
#define ALNUM(c) (IN(c, 'a', 'z') || IN(c, 'A', 'Z') || IN(c, '0', '9'))
#define TOKEN(c)                                                                                           \
    (ALNUM(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' || \
     IN(c, '^', '`') || (c) == '|' || (c) == '~')
#define VALUE(c) ((c) == '\t' || (IN(c, 0x20, 0xff) && (c) != 0x7f))
#define TARGET(c) (IN(c, 0x21, 0x7e) && (c) != '#')
#define SUB_DELIM(c) ((c) == '!' || (c) == '$' || IN(c, '&', ',') || (c) == ';' || (c) == '=')
#define REGNAME(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || SUB_DELIM(c))
#define HEX(c) (IN(c, '0', '9') || IN(c, 'a', 'f') || IN(c, 'A', 'F'))

#define C1(c)                                                                                         \
    (TOKEN(c) ? CYG_H1_TOKEN : 0) | (VALUE(c) ? CYG_H1_VALUE : 0) | (TARGET(c) ? CYG_H1_TARGET : 0) | \
        (REGNAME(c) ? CYG_H1_REGNAME : 0) | (HEX(c) ? CYG_H1_HEX : 0) | (IN(c, '0', '9') ? CYG_H1_DIGIT : 0)
#define C4(c) C1(c), C1((c) + 1), C1((c) + 2), C1((c) + 3)
#define C16(c) C4(c), C4((c) + 4), C4((c) + 8), C4((c) + 12)
#define C64(c) C16(c), C16((c) + 16), C16((c) + 32), C16((c) + 48)

const uint8_t cyg_h1_chars[256] = {C64(0), C64(64), C64(128), C64(192)};
