/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EID_BASE_UTF8_H
#define EID_BASE_UTF8_H

#include "base/slice.h"

/* Strict: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool eid_utf8_valid(eid_slice text);

/* The largest length <= max that does not cut a character of valid UTF-8 text. */
size_t eid_utf8_cut(eid_slice text, size_t max);

#endif
