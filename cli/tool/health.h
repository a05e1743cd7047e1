/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a node for its health over HTTP. */
#ifndef TOOL_HEALTH_H
#define TOOL_HEALTH_H

#include <stdbool.h>

struct health {
    bool good;
    char *text; /* the answer, or what was wrong; free it */
};

/* "/health" is appended to the URL unless it is there. */
void health_ask(const char *url, unsigned long timeout_seconds, struct health *out);

#endif
