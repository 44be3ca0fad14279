/* config_utf8.h: whether bytes are UTF-8 text without control characters. */
#ifndef CYG_GATEWAY_CONFIG_UTF8_H
#define CYG_GATEWAY_CONFIG_UTF8_H

#include <cygnet/base.h>

struct cyg_gw_bad_text {
    size_t line, column; /* from 1, columns in characters */
    bool not_utf8;       /* value is a byte that UTF-8 does not have there; else a character that text does not have */
    uint32_t value;
};

/* Returns: false with the first place at fault in *bad. */
bool cyg_gw_text_ok(cyg_str text, struct cyg_gw_bad_text *bad);

#endif
