/* SPDX-License-Identifier: Apache-2.0 */
/* Values to ask for in queries. */
#include "store/store_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <eidetica/table.h>

eid_table_value eid_table_null(void)
{
    return (eid_table_value){.kind = EID_TABLE_NULL};
}

eid_table_value eid_table_bool(bool value)
{
    return (eid_table_value){.kind = EID_TABLE_BOOL, .boolean = value};
}

eid_table_value eid_table_int(int64_t value)
{
    return (eid_table_value){.kind = EID_TABLE_INT, .integer = value};
}

eid_table_value eid_table_real(double value)
{
    return (eid_table_value){.kind = EID_TABLE_REAL, .real = value};
}

eid_table_value eid_table_number(const char *number)
{
    return (eid_table_value){.kind = EID_TABLE_NUMBER, .text = number, .len = number == NULL ? 0 : strlen(number)};
}

eid_table_value eid_table_text(const char *text)
{
    return (eid_table_value){.kind = EID_TABLE_TEXT, .text = text, .len = text == NULL ? 0 : strlen(text)};
}

bool eid_real_format(double value, char out[EID_REAL_TEXT_SIZE])
{
    if (!isfinite(value))
        return false;
    /* 17 digits always suffice. Both directions use the same locale. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, EID_REAL_TEXT_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    for (char *at = out; *at != '\0'; at++)
        if ((*at < '0' || *at > '9') && *at != '-' && *at != '+' && *at != 'e')
            *at = '.';
    return true;
}
