/* SPDX-License-Identifier: Apache-2.0 */
/* An Iroh endpoint of the library for check_iroh.mjs: prints its ticket, answers requests with their own
 * bytes, and asks as it is told by lines: "ask TICKET BYTES" sends so many bytes of a pattern and wants them
 * back, "many TICKET COUNT" asks so often at once. Each gets one line: "ok …" or "STATUS: sentence". Ends
 * with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/iroh.h"
#include "support/testutil.h"
#include <eidetica/memory.h>

#define BODY_MAX ((size_t)80 << 20)
#define MANY_MAX 1000

static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL)
        exit(2);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
    return bytes;
}

/* False and a line when it failed or brought something else. */
static bool judge(ti_call *call, eid_slice wanted)
{
    eid_slice answer;
    eid_status status = ti_wait(call, &answer);
    bool good = status == EID_OK && eid_slice_equal(answer, wanted);
    if (status != EID_OK)
        printf("%s: %s\n", eid_status_name(status), eid_last_error());
    else if (!good)
        printf("other bytes\n");
    ti_forget(call);
    return good;
}

static void ask(ti_node *node, const eid_iroh_addr *to, size_t len)
{
    uint8_t *bytes = pattern(len);
    if (judge(ti_ask(node, to, bytes, len), eid_slice_of(bytes, len)))
        printf("ok %zu\n", len);
    free(bytes);
}

static void ask_many(ti_node *node, const eid_iroh_addr *to, size_t count)
{
    ti_call *calls[MANY_MAX];
    uint8_t *bytes = pattern(1000);
    bool good = true;
    for (size_t i = 0; i < count; i++)
        calls[i] = ti_ask(node, to, bytes, 1 + i % 1000);
    for (size_t i = 0; i < count; i++)
        good = judge(calls[i], eid_slice_of(bytes, 1 + i % 1000)) && good;
    if (good)
        printf("ok %zu\n", count);
    free(bytes);
}

static void obey(ti_node *node, char *line)
{
    char word[8], text[EID_LIMIT_ADDRESS_TEXT + 1];
    unsigned long long number;
    eid_iroh_addr to;
    if (sscanf(line, "%7s %4096s %llu", word, text, &number) != 3 ||
        eid_iroh_addr_parse(eid_slice_text(text), &to) != EID_OK)
        printf("what? %s\n", eid_last_error());
    else {
        if (strcmp(word, "ask") == 0 && number <= BODY_MAX)
            ask(node, &to, (size_t)number);
        else if (strcmp(word, "many") == 0 && number <= MANY_MAX)
            ask_many(node, &to, (size_t)number);
        eid_iroh_addr_clear(&to);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    ti_options options = {
        .seed = 7, .request_max = BODY_MAX, .answer_max = BODY_MAX, .alpn = argc > 1 ? argv[1] : NULL};
    ti_node *node = ti_new(&options);
    char line[EID_LIMIT_ADDRESS_TEXT + 64], *ticket;
    if (eid_iroh_addr_format(ti_addr(node), &ticket) != EID_OK)
        return 2;
    printf("%s\n", ticket);
    fflush(stdout);
    eid_free(ticket);
    while (fgets(line, sizeof line, stdin) != NULL)
        obey(node, line);
    ti_free(node);
    return 0;
}
