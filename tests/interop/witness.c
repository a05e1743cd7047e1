/* SPDX-License-Identifier: Apache-2.0 */
/* witness entries SEED COUNT | witness ids SEED COUNT | witness answer
 * The last answers one line of standard output for each line of standard input, see witness_answer.c. */
#include "witness.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/base.h"
#include "crypto/key.h"

noreturn void witness_fail(const char *what)
{
    fprintf(stderr, "witness: %s: %s\n", what, eid_last_error());
    exit(2);
}

void witness_put_hex(eid_buf *out, eid_slice bytes)
{
    uint8_t *room = eid_buf_reserve(out, 2 * bytes.len + 1);
    if (room == NULL)
        witness_fail("a line does not fit into memory");
    eid_hex_encode(bytes.data, bytes.len, (char *)room);
    eid_buf_commit(out, 2 * bytes.len);
}

void witness_print(eid_buf *line)
{
    eid_buf_append_byte(line, '\n');
    if (eid_buf_status(line) != EID_OK)
        witness_fail("a line can not be written");
    fwrite(line->data, 1, line->len, stdout);
    eid_buf_reset(line);
}

static void answer_all(void)
{
    char *question = NULL;
    size_t capacity = 0;
    ssize_t len;
    eid_buf line;
    eid_buf_init(&line, WITNESS_LINE_MAX);
    while ((len = getline(&question, &capacity, stdin)) > 0) {
        if (question[len - 1] == '\n')
            question[len - 1] = '\0';
        witness_answer(question, &line);
        witness_print(&line);
    }
    eid_buf_free(&line);
    free(question);
}

int main(int count, char **words)
{
    if (eid_crypto_init() != EID_OK)
        witness_fail("the cryptography can not be readied");
    if (count == 4 && strcmp(words[1], "entries") == 0)
        witness_make_entries(strtoull(words[2], NULL, 10), strtoull(words[3], NULL, 10));
    else if (count == 4 && strcmp(words[1], "ids") == 0)
        witness_make_ids(strtoull(words[2], NULL, 10), strtoull(words[3], NULL, 10));
    else if (count == 2 && strcmp(words[1], "answer") == 0)
        answer_all();
    else {
        fputs("usage: witness entries SEED COUNT | witness ids SEED COUNT | witness answer\n", stderr);
        return 2;
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 2;
}
