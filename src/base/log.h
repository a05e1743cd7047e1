/* SPDX-License-Identifier: Apache-2.0 */
/* The library prints nothing. What deserves a line goes to the callback set with eid_set_log_callback. */
#ifndef EID_BASE_LOG_H
#define EID_BASE_LOG_H

#include <eidetica/log.h>

/* Formats and hands the line to the callback when one is set and the level is wanted; never secrets. */
void eid_log(eid_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
