/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: values only, the caller writes the punctuation between them. */
#include "codec/json.h"

#include "codec/json_int.h"

/* One escaped character, as crdt.md section 4 fixes it: the seven short forms, else \u00xx in lower case. */
static void write_escape(eid_buf *buf, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char control[] = "btn\0fr"; /* for 0x08 to 0x0d; 0x0b has no short form */

    char escape[6] = {'\\', (char)byte};
    size_t len = 2;
    if (byte >= 0x08 && byte <= 0x0d && byte != 0x0b) {
        escape[1] = control[byte - 0x08];
    } else if (byte < 0x20) {
        memcpy(escape + 1, "u00", 3);
        escape[4] = hex[byte >> 4];
        escape[5] = hex[byte & 15];
        len = 6;
    }
    eid_buf_append(buf, escape, len);
}

void eid_json_write_text(eid_buf *buf, eid_slice text)
{
    eid_buf_append_byte(buf, '"');
    const uint8_t *at = text.data;
    const uint8_t *end = text.len == 0 ? at : at + text.len;
    while (at != end) {
        const uint8_t *stop = eid_json_plain_end(at, end);
        eid_buf_append(buf, at, (size_t)(stop - at));
        at = stop;
        if (at != end)
            write_escape(buf, *at++);
    }
    eid_buf_append_byte(buf, '"');
}

void eid_json_write_cstr(eid_buf *buf, const char *text)
{
    eid_json_write_text(buf, eid_slice_text(text));
}

void eid_json_write_u64(eid_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    eid_buf_append(buf, digits + at, sizeof digits - at);
}

void eid_json_write_i64(eid_buf *buf, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        eid_buf_append_byte(buf, '-');
        magnitude = 0 - magnitude;
    }
    eid_json_write_u64(buf, magnitude);
}

/* The four characters "ddd," of a byte, the last of them filler for one and two digits, and how many
 * count. */
typedef struct byte_text {
    char text[4];
    uint8_t len;
} byte_text;

/* clang-format off */
#define DIGIT(n)  ((char)('0' + (n)))
#define ONE(n)    {{DIGIT(n), ',', 0, 0}, 2}
#define TWO(n)    {{DIGIT((n) / 10), DIGIT((n) % 10), ',', 0}, 3}
#define THREE(n)  {{DIGIT((n) / 100), DIGIT((n) / 10 % 10), DIGIT((n) % 10), ','}, 4}
#define TEN(F, n) F(n), F((n) + 1), F((n) + 2), F((n) + 3), F((n) + 4), F((n) + 5), F((n) + 6), F((n) + 7), \
                  F((n) + 8), F((n) + 9)
/* clang-format on */

static const byte_text byte_texts[256] = {
    TEN(ONE, 0),     TEN(TWO, 10),    TEN(TWO, 20),    TEN(TWO, 30),    TEN(TWO, 40),    TEN(TWO, 50),
    TEN(TWO, 60),    TEN(TWO, 70),    TEN(TWO, 80),    TEN(TWO, 90),    TEN(THREE, 100), TEN(THREE, 110),
    TEN(THREE, 120), TEN(THREE, 130), TEN(THREE, 140), TEN(THREE, 150), TEN(THREE, 160), TEN(THREE, 170),
    TEN(THREE, 180), TEN(THREE, 190), TEN(THREE, 200), TEN(THREE, 210), TEN(THREE, 220), TEN(THREE, 230),
    TEN(THREE, 240), THREE(250),      THREE(251),      THREE(252),      THREE(253),      THREE(254),
    THREE(255),
};

void eid_json_write_bytes(eid_buf *buf, eid_slice bytes)
{
    if (bytes.len == 0) {
        eid_buf_append(buf, "[]", 2);
        return;
    }

    /* The exact size first: reserving the worst case could fail at the maximum although the text fits. */
    size_t size = 1;
    if (bytes.len > (SIZE_MAX - 1) / 4) {
        size = SIZE_MAX;
    } else {
        size += 2 * bytes.len;
        for (size_t i = 0; i < bytes.len; i++)
            size += (size_t)(bytes.data[i] >= 10) + (size_t)(bytes.data[i] >= 100);
    }

    uint8_t *out = eid_buf_reserve(buf, size);
    if (out == NULL)
        return;
    *out++ = '[';
    /* Four characters are stored for each; those that do not count are overwritten by the next number, which
     * is at least as long as they are. Only the last number must be stored at its true length. */
    for (size_t i = 0; i + 1 < bytes.len; i++) {
        const byte_text *number = &byte_texts[bytes.data[i]];
        memcpy(out, number->text, 4);
        out += number->len;
    }
    const byte_text *last = &byte_texts[bytes.data[bytes.len - 1]];
    memcpy(out, last->text, last->len);
    out[last->len - 1] = ']';
    eid_buf_commit(buf, size);
}
