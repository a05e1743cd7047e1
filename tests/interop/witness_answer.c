/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the library, one a line: a word and its arguments, with spaces between. HEX is bytes in
 * hexadecimal,
 * "-" for none. The answers' fields are hexadecimal too unless something else is said.
 *
 *   entry HEX              an entry from DAG-CBOR    -> ID text, DAG-CBOR, signing bytes, JSON, signature
 * word, rule word json HEX               an entry from JSON        -> the same value strict|tolerant HEX any
 * DAG-CBOR, read item by item and written anew -> DAG-CBOR id HEX                 an identifier's text ->
 * binary form, text binary HEX             an identifier's bytes     -> binary form, text order HEX HEX two
 * binary forms          -> the two orders of them, each -1, 0 or 1 (in decimal) base HEX multibase text ->
 * bytes hash CODEC CHUNK HEX   -> text of the ID, and the digest when the bytes come in pieces of CHUNK bytes
 *   sign SEED HEX          -> public key text, signature text
 *   verify TEXT HEX SIG    public key, message, signature -> nothing
 *   doc HEX                a document                -> its stored form
 *   fold HEX HEX …         documents merged from the left -> stored form
 *   edit HEX STEP …        s:PATH:VALUE sets, d:PATH deletes -> stored form, the status of each step
 *   list STEP …            p:VALUE, iN:VALUE, sN:VALUE, rN on a new list -> stored form, the status of each
 * step between A B            A, B: N/D, or * for no bound -> N/D compare A B            A, B: N/D/UUID ->
 * -1, 0 or 1
 */
#include "witness.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/base.h"
#include "support/cbor.h"
#include "crdt/doc.h"
#include "crdt/list.h"
#include "crypto/blake3.h"
#include "crypto/key.h"
#include "entry/entry.h"

#define MAX_WORDS 600

/* The words of a question. Bytes that were decoded live until the question is answered. */
typedef struct question {
    char *words[MAX_WORDS];
    size_t count;
    uint8_t *decoded[MAX_WORDS];
    size_t decoded_count;
} question;

static eid_slice bytes_of(question *q, const char *hex)
{
    size_t digits = strcmp(hex, "-") == 0 ? 0 : strlen(hex), len = 0;
    uint8_t *bytes = malloc(digits / 2 + 1);
    if (bytes == NULL || q->decoded_count == MAX_WORDS ||
        eid_hex_decode(eid_slice_of(hex, digits), bytes, digits / 2, &len) != EID_OK)
        witness_fail("a question is not understood");
    q->decoded[q->decoded_count++] = bytes;
    return eid_slice_of(bytes, len);
}

/* The bytes with a zero after them. */
static char *text_of(question *q, const char *hex)
{
    eid_slice bytes = bytes_of(q, hex);
    char *text = (char *)q->decoded[q->decoded_count - 1];
    text[bytes.len] = '\0';
    return text;
}

static void put(eid_buf *out, eid_slice bytes)
{
    eid_buf_append_byte(out, ' ');
    if (bytes.len == 0)
        eid_buf_append_byte(out, '-');
    else
        witness_put_hex(out, bytes);
}

static void put_word(eid_buf *out, const char *word)
{
    eid_buf_append_byte(out, ' ');
    eid_buf_append_text(out, word[0] == '\0' ? "-" : word);
}

/* ---- entries ---- */

static const char *signature_word(const eid_entry *entry)
{
    eid_pubkey key;
    if (eid_entry_malformed(entry) != NULL)
        return "malformed";
    if (eid_entry_is_unsigned(entry))
        return "unsigned";
    if (!eid_entry_signer(entry, &key))
        return "unnamed";
    return eid_entry_verify_signature(entry, &key) == EID_OK ? "valid" : "invalid";
}

static void put_entry(eid_buf *out, eid_entry *entry)
{
    char text[EID_ID_TEXT_SIZE];
    eid_buf part;
    eid_buf_init(&part, WITNESS_LINE_MAX);
    eid_id_format(&entry->id, text);
    put_word(out, text);
    put(out, eid_slice_of(entry->cbor, entry->cbor_len));
    eid_entry_write_signing_bytes(&part, entry);
    put(out, eid_buf_slice(&part));
    eid_buf_reset(&part);
    eid_entry_write_json(&part, entry);
    put(out, eid_buf_slice(&part));
    put_word(out, signature_word(entry));
    put_word(out, eid_status_name(eid_entry_validate(entry)));
    eid_buf_free(&part);
    eid_entry_unref(entry);
}

static eid_status answer_entry(question *q, eid_buf *out)
{
    eid_entry *entry;
    eid_slice bytes = bytes_of(q, q->words[1]);
    EID_TRY(eid_entry_from_cbor(bytes.data, bytes.len, &entry));
    put_entry(out, entry);
    return EID_OK;
}

static eid_status answer_json(question *q, eid_buf *out)
{
    eid_entry *entry;
    eid_slice bytes = bytes_of(q, q->words[1]);
    EID_TRY(eid_entry_from_json((const char *)bytes.data, bytes.len, &entry));
    put_entry(out, entry);
    return EID_OK;
}

/* ---- any DAG-CBOR ---- */

/* An open container. The reader gives heads only; that keys are text, each once and in order, is for whoever
 * reads a map to check. */
typedef struct open_container {
    uint64_t left; /* items */
    bool is_map;
    bool has_key; /* `key` is the last one */
    eid_slice key;
} open_container;

static eid_status check_key(open_container *map, const eid_cbor_item *item)
{
    if (item->kind != EID_CBOR_TEXT)
        return eid_fail(EID_ERR_WRONG_TYPE, "a key is not text");
    int order = 1;
    if (map->has_key)
        order = item->bytes.len != map->key.len ? (item->bytes.len > map->key.len ? 1 : -1)
                                                : eid_slice_compare(item->bytes, map->key);
    if (order == 0)
        return eid_fail(EID_ERR_DUPLICATE_KEY, "a key stands twice");
    if (order < 0)
        return eid_fail(EID_ERR_NOT_CANONICAL, "the keys are not in order");
    map->key = item->bytes;
    map->has_key = true;
    return EID_OK;
}

static eid_status rewrite(eid_cbor *reader, eid_buf *out)
{
    open_container open[EID_LIMIT_CBOR_DEPTH];
    size_t depth = 0;
    do {
        eid_cbor_item item;
        EID_TRY(eid_cbor_next(reader, &item));
        if (depth > 0) {
            open_container *around = &open[depth - 1];
            if (around->is_map && around->left % 2 == 0)
                EID_TRY(check_key(around, &item));
            around->left--;
        }
        tc_write_item(out, &item);
        if (item.kind == EID_CBOR_ARRAY || item.kind == EID_CBOR_MAP) {
            if (depth == EID_LIMIT_CBOR_DEPTH)
                return eid_fail(EID_ERR_DEPTH, "too deep");
            bool is_map = item.kind == EID_CBOR_MAP;
            open[depth++] =
                (open_container){.left = is_map ? 2 * item.number : item.number, .is_map = is_map};
        }
        while (depth > 0 && open[depth - 1].left == 0)
            depth--;
    } while (depth > 0);
    return eid_cbor_end(reader);
}

static eid_status answer_value(question *q, eid_buf *out)
{
    eid_slice bytes = bytes_of(q, q->words[2]);
    eid_cbor reader, skipping;
    eid_buf written;
    eid_cbor_init(&reader, bytes, strcmp(q->words[1], "strict") == 0);
    skipping = reader;
    eid_buf_init(&written, WITNESS_LINE_MAX);
    eid_status status = rewrite(&reader, &written);
    if (status == EID_OK) {
        put(out, eid_buf_slice(&written));
        if (eid_cbor_skip(&skipping) != EID_OK || skipping.input.len != 0)
            witness_fail("a value that is read can not be skipped");
    }
    eid_buf_free(&written);
    return status;
}

/* ---- identifiers ---- */

static void put_id(eid_buf *out, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    put(out, eid_id_slice(id));
    put_word(out, text);
}

static eid_status answer_id(question *q, eid_buf *out)
{
    eid_id id;
    EID_TRY(eid_id_parse_slice(bytes_of(q, q->words[1]), &id));
    put_id(out, &id);
    return EID_OK;
}

static eid_status answer_binary(question *q, eid_buf *out)
{
    eid_id id;
    EID_TRY(eid_id_from_binary(bytes_of(q, q->words[1]), &id));
    put_id(out, &id);
    return EID_OK;
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static eid_status answer_order(question *q, eid_buf *out)
{
    eid_id a, b;
    EID_TRY(eid_id_from_binary(bytes_of(q, q->words[1]), &a));
    EID_TRY(eid_id_from_binary(bytes_of(q, q->words[2]), &b));
    eid_buf_appendf(out, " %d %d", sign(eid_id_compare(&a, &b)), sign(eid_id_compare_text(&a, &b)));
    return EID_OK;
}

static eid_status answer_base(question *q, eid_buf *out)
{
    uint8_t bytes[4096];
    size_t len = 0;
    EID_TRY(eid_multibase_decode(bytes_of(q, q->words[1]), bytes, sizeof bytes, &len));
    put(out, eid_slice_of(bytes, len));
    return EID_OK;
}

static eid_status answer_hash(question *q, eid_buf *out)
{
    uint64_t codec = strtoull(q->words[1], NULL, 10);
    size_t chunk = strtoull(q->words[2], NULL, 10);
    eid_slice bytes = bytes_of(q, q->words[3]);
    char text[EID_ID_TEXT_SIZE];
    eid_id id;
    eid_id_of_bytes(codec, bytes.data, bytes.len, &id);
    eid_id_format(&id, text);
    put_word(out, text);

    eid_blake3 hasher;
    uint8_t digest[32];
    eid_blake3_init(&hasher);
    for (size_t at = 0; at < bytes.len; at += chunk)
        eid_blake3_update(&hasher, bytes.data + at, bytes.len - at < chunk ? bytes.len - at : chunk);
    eid_blake3_final(&hasher, digest);
    put(out, eid_slice_of(digest, sizeof digest));
    return EID_OK;
}

/* ---- signatures ---- */

static eid_status answer_sign(question *q, eid_buf *out)
{
    eid_slice seed = bytes_of(q, q->words[1]), message = bytes_of(q, q->words[2]);
    if (seed.len != 32)
        witness_fail("a seed has 32 bytes");
    eid_keypair *key;
    eid_pubkey pubkey;
    uint8_t signature[64];
    char pubkey_text[EID_PUBKEY_TEXT_SIZE], signature_text[EID_SIGNATURE_TEXT_SIZE];
    EID_TRY(eid_keypair_from_seed(seed.data, &key));
    eid_keypair_public(key, &pubkey);
    eid_keypair_sign(key, message.data, message.len, signature);
    eid_keypair_free(key);
    eid_pubkey_format(&pubkey, pubkey_text);
    eid_signature_format(signature, signature_text);
    put_word(out, pubkey_text);
    put_word(out, signature_text);
    return EID_OK;
}

static eid_status answer_verify(question *q, eid_buf *out)
{
    (void)out;
    eid_pubkey key;
    eid_slice message = bytes_of(q, q->words[2]), signature = bytes_of(q, q->words[3]);
    if (signature.len != 64)
        witness_fail("a signature has 64 bytes");
    EID_TRY(eid_pubkey_parse(q->words[1], &key));
    return eid_pubkey_verify(&key, message.data, message.len, signature.data);
}

/* ---- documents ---- */

static eid_status put_doc(eid_buf *out, const eid_doc *doc)
{
    char *text;
    size_t len;
    EID_TRY(eid_doc_to_json(doc, &text, &len));
    put(out, eid_slice_of(text, len));
    eid_free(text);
    return EID_OK;
}

static eid_status answer_doc(question *q, eid_buf *out)
{
    eid_doc *doc;
    EID_TRY(eid_doc_parse(bytes_of(q, q->words[1]), &doc));
    eid_status status = put_doc(out, doc);
    eid_doc_free(doc);
    return status;
}

static eid_status answer_fold(question *q, eid_buf *out)
{
    eid_doc *state;
    EID_TRY(eid_doc_parse(bytes_of(q, q->words[1]), &state));
    eid_status status = EID_OK;
    for (size_t i = 2; i < q->count && status == EID_OK; i++) {
        eid_doc *change;
        status = eid_doc_parse(bytes_of(q, q->words[i]), &change);
        if (status != EID_OK)
            break;
        status = eid_doc_merge(state, change);
        eid_doc_free(change);
    }
    if (status == EID_OK)
        status = put_doc(out, state);
    eid_doc_free(state);
    return status;
}

static eid_value *value_of(question *q, const char *hex)
{
    eid_value *value;
    if (eid_value_parse(bytes_of(q, hex), &value) != EID_OK)
        witness_fail("a value of a question is not read");
    return value;
}

/* Cuts "head:tail" in two; the tail is "" when there is none. */
static char *cut(char *word)
{
    char *colon = strchr(word, ':');
    if (colon == NULL)
        return word + strlen(word);
    *colon = '\0';
    return colon + 1;
}

static eid_status answer_edit(question *q, eid_buf *out)
{
    eid_doc *doc;
    EID_TRY(eid_doc_parse(bytes_of(q, q->words[1]), &doc));
    eid_buf statuses;
    eid_buf_init(&statuses, WITNESS_LINE_MAX);
    for (size_t i = 2; i < q->count; i++) {
        char *path_hex = cut(q->words[i]);
        char *value_hex = cut(path_hex);
        const char *path = text_of(q, path_hex);
        eid_status status;
        if (q->words[i][0] == 's') {
            eid_value *value = value_of(q, value_hex);
            status = eid_doc_set(doc, path, value);
            eid_value_free(value);
        } else {
            status = eid_doc_remove(doc, path);
        }
        put_word(&statuses, eid_status_name(status));
    }
    eid_status status = put_doc(out, doc);
    eid_buf_append_slice(out, eid_buf_slice(&statuses));
    eid_buf_free(&statuses);
    eid_doc_free(doc);
    return status;
}

static eid_status list_step(question *q, eid_list *list, char *word)
{
    char *value_hex = cut(word);
    size_t index = strtoull(word + 1, NULL, 10);
    if (word[0] == 'r')
        return eid_list_remove(list, index);
    eid_value *value = value_of(q, value_hex);
    eid_status status = word[0] == 'p'   ? eid_list_push(list, value)
                        : word[0] == 'i' ? eid_list_insert(list, index, value)
                                         : eid_list_set(list, index, value);
    eid_value_free(value);
    return status;
}

static eid_status answer_list(question *q, eid_buf *out)
{
    eid_list *list;
    eid_value *value;
    char *text;
    size_t len;
    EID_TRY(eid_list_new(&list));
    eid_buf statuses;
    eid_buf_init(&statuses, WITNESS_LINE_MAX);
    for (size_t i = 1; i < q->count; i++)
        put_word(&statuses, eid_status_name(list_step(q, list, q->words[i])));
    if (eid_value_new_list(list, &value) != EID_OK || eid_value_to_json(value, &text, &len) != EID_OK)
        witness_fail("a list can not be written");
    put(out, eid_slice_of(text, len));
    eid_buf_append_slice(out, eid_buf_slice(&statuses));
    eid_free(text);
    eid_value_free(value);
    eid_list_free(list);
    eid_buf_free(&statuses);
    return EID_OK;
}

/* N/D or N/D/UUID; NULL for no bound. */
static const eid_position *position_of(char *word, eid_position *out)
{
    if (strcmp(word, "*") == 0)
        return NULL;
    char *rest;
    memset(out, 0, sizeof *out);
    out->numerator = strtoll(word, &rest, 10);
    if (*rest != '/')
        witness_fail("a position is written N/D");
    out->denominator = strtoull(rest + 1, &rest, 10);
    if (*rest == '/' && !eid_uuid_parse(eid_slice_text(rest + 1), &out->unique))
        witness_fail("a position ends with a UUID");
    return out;
}

static eid_status answer_between(question *q, eid_buf *out)
{
    eid_position left, right, made;
    eid_uuid unique = {{0}};
    EID_TRY(eid_position_between(position_of(q->words[1], &left), position_of(q->words[2], &right), &unique,
                                 &made));
    eid_buf_appendf(out, " %lld/%llu", (long long)made.numerator, (unsigned long long)made.denominator);
    return EID_OK;
}

static eid_status answer_compare(question *q, eid_buf *out)
{
    eid_position left, right;
    if (position_of(q->words[1], &left) == NULL || position_of(q->words[2], &right) == NULL)
        witness_fail("only positions can be compared");
    eid_buf_appendf(out, " %d", sign(eid_position_compare(&left, &right)));
    return EID_OK;
}

/* ---- the table ---- */

typedef struct verb {
    const char *name;
    size_t arguments; /* at least */
    eid_status (*answer)(question *q, eid_buf *out);
} verb;

static const verb verbs[] = {
    {"entry", 1, answer_entry},     {"json", 1, answer_json},     {"value", 2, answer_value},
    {"id", 1, answer_id},           {"binary", 1, answer_binary}, {"order", 2, answer_order},
    {"base", 1, answer_base},       {"hash", 3, answer_hash},     {"sign", 2, answer_sign},
    {"verify", 3, answer_verify},   {"doc", 1, answer_doc},       {"fold", 1, answer_fold},
    {"edit", 1, answer_edit},       {"list", 0, answer_list},     {"between", 2, answer_between},
    {"compare", 2, answer_compare},
};

void witness_answer(char *line, eid_buf *out)
{
    question q;
    q.count = 0;
    q.decoded_count = 0;
    for (char *rest = line, *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        if (q.count == MAX_WORDS)
            witness_fail("a question has too many words");
        q.words[q.count++] = word;
    }
    const verb *found = NULL;
    for (size_t i = 0; q.count > 0 && i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, q.words[0]) == 0 && q.count > verbs[i].arguments)
            found = &verbs[i];
    }
    if (found == NULL)
        witness_fail("a question is not known");

    eid_buf answer;
    eid_buf_init(&answer, WITNESS_LINE_MAX);
    eid_status status = found->answer(&q, &answer);
    if (status == EID_OK) {
        eid_buf_append_byte(out, '+');
        eid_buf_append_slice(out, eid_buf_slice(&answer));
    } else {
        eid_buf_appendf(out, "- %s", eid_status_name(status));
    }
    eid_buf_free(&answer);
    for (size_t i = 0; i < q.decoded_count; i++)
        free(q.decoded[i]);
}
