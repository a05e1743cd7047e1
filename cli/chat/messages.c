/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered list of messages and how it is kept up to date; see messages.h. */
#include "messages.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <eidetica/changes.h>
#include <eidetica/memory.h>

#include "text.h"
#include "util.h"
#include "wake.h"

/* More changed rows than this are not read one by one: the table is scanned again. */
#define ONE_BY_ONE_MAX 4096u

struct messages {
    eid_database *database;
    eid_callback *registration;

    struct message **items; /* ordered by (time, key) */
    size_t count;
    size_t room;
    size_t untaken; /* how many of them messages_take_new has not seen */
    void *by_key;   /* tsearch tree over the same messages */

    eid_changes *feed; /* of the table's entries */
    bool reload;       /* something changed that can not be named, or was not read: scan the table */
    struct stamp sent; /* the time of the last message sent from here */
};

/* ---- One row ---- */

static bool text_field(const eid_doc *doc, const char *path, const char **text, size_t *len)
{
    return eid_doc_get_text(doc, path, text, len) == EID_OK;
}

bool message_parse(const char *key, const char *row, size_t len, struct message **out)
{
    const char *author, *content, *time, *id;
    size_t author_len, content_len, time_len, id_len;
    struct stamp stamp;
    eid_doc *doc;
    if (memchr(row, '\0', len) != NULL || eid_doc_new(&doc) != EID_OK)
        return false;
    char *json = cli_alloc(len + 1);
    memcpy(json, row, len);
    bool good = eid_doc_set_json(doc, "row", json) == EID_OK && text_field(doc, "row.id", &id, &id_len) &&
                text_field(doc, "row.author", &author, &author_len) &&
                text_field(doc, "row.content", &content, &content_len) && content_len > 0 &&
                text_field(doc, "row.timestamp", &time, &time_len) && stamp_parse(time, time_len, &stamp);
    if (good) {
        struct message *message = cli_alloc(sizeof *message);
        message->key = cli_copy(key);
        message->author = text_clean(author, author_len, TEXT_AUTHOR_MAX);
        message->content = text_clean(content, content_len, TEXT_CONTENT_MAX);
        message->time = stamp;
        *out = message;
    }
    free(json);
    eid_doc_free(doc);
    return good;
}

void message_free(struct message *message)
{
    if (message == NULL)
        return;
    free(message->key);
    free(message->author);
    free(message->content);
    free(message);
}

char *message_row(const char *id, const char *author, const char *content, struct stamp time)
{
    char when[STAMP_TEXT_SIZE];
    stamp_format(time, when);
    char *author_json = text_json(author, strlen(author));
    char *content_json = text_json(content, strlen(content));
    char *row = cli_format("{\"id\":\"%s\",\"author\":%s,\"content\":%s,\"timestamp\":\"%s\"}", id,
                            author_json, content_json, when);
    free(author_json);
    free(content_json);
    return row;
}

/* A random UUID, version 4. */
static eid_status make_id(char out[EID_ROW_KEY_SIZE])
{
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return EID_ERR_IO;
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(out, EID_ROW_KEY_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
    return EID_OK;
}

eid_status messages_send(struct messages *m, const char *author, const char *content)
{
    char id[EID_ROW_KEY_SIZE];
    struct stamp now;
    eid_txn *txn;
    eid_status status = make_id(id);
    if (status == EID_OK)
        status = eid_database_new_transaction(m->database, &txn);
    if (status != EID_OK)
        return status;
    stamp_now(&now);
    stamp_follow(&now, m->sent);
    char *row = message_row(id, author, content, now);
    status = eid_table_set(txn, MESSAGES_STORE, id, row);
    free(row);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    status = eid_txn_commit_free(txn, NULL);
    if (status == EID_OK)
        m->sent = now;
    return status;
}

/* ---- The list ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct message *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static int compare_order(const struct message *a, const struct message *b)
{
    int order = stamp_compare(a->time, b->time);
    return order != 0 ? order : strcmp(a->key, b->key);
}

/* The first place whose message does not come before `message`. */
static size_t place_of(const struct messages *m, const struct message *message)
{
    size_t low = 0, high = m->count;
    /* Most messages are the newest. */
    if (high > 0 && compare_order(m->items[high - 1], message) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_order(m->items[middle], message) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_item(struct messages *m, struct message *message)
{
    if (m->count == m->room) {
        m->room = m->room * 2 + 64;
        m->items = cli_grow(m->items, m->room, sizeof *m->items);
    }
    size_t place = place_of(m, message);
    memmove(m->items + place + 1, m->items + place, (m->count - place) * sizeof *m->items);
    m->items[place] = message;
    m->count++;
    m->untaken += message->taken ? 0 : 1;
    if (tsearch(message, &m->by_key, compare_keys) == NULL)
        abort(); /* out of memory: nothing of the program survives it anyway */
}

static struct message *find_item(struct messages *m, const char *key)
{
    struct message wanted = {.key = (char *)(uintptr_t)key};
    struct message **found = tfind(&wanted, &m->by_key, compare_keys);
    return found != NULL ? *found : NULL;
}

static void remove_item(struct messages *m, struct message *message)
{
    size_t place = place_of(m, message);
    memmove(m->items + place, m->items + place + 1, (m->count - place - 1) * sizeof *m->items);
    m->count--;
    m->untaken -= message->taken ? 0 : 1;
    tdelete(message, &m->by_key, compare_keys);
    message_free(message);
}

/* Brings the list in line with one row; `row` NULL: there is none (any more). */
static bool apply_row(struct messages *m, const char *key, const char *row, size_t len)
{
    struct message *fresh = NULL;
    struct message *old = find_item(m, key);
    /* A key with a point can not be read by itself, and no program of ours writes one. */
    if (row != NULL && key[0] != '\0' && strchr(key, '.') == NULL)
        message_parse(key, row, len, &fresh);
    if (old != NULL && fresh != NULL && compare_order(old, fresh) == 0 &&
        strcmp(old->author, fresh->author) == 0 && strcmp(old->content, fresh->content) == 0) {
        message_free(fresh);
        old->seen = true;
        return false;
    }
    if (old == NULL && fresh == NULL)
        return false;
    if (old != NULL && fresh != NULL)
        fresh->taken = old->taken;
    if (old != NULL)
        remove_item(m, old);
    if (fresh != NULL) {
        fresh->seen = true;
        add_item(m, fresh);
    }
    return true;
}

struct scan {
    struct messages *messages;
    bool changed;
};

static bool on_row(const char *key, const char *row, size_t len, void *ctx)
{
    struct scan *scan = ctx;
    scan->changed |= apply_row(scan->messages, key, row, len);
    return true;
}

static eid_status read_all(struct messages *m, bool *changed)
{
    struct scan scan = {m, false};
    for (size_t i = 0; i < m->count; i++)
        m->items[i]->seen = false;
    eid_status status = eid_database_table_scan(m->database, MESSAGES_STORE, NULL, on_row, &scan);
    if (status != EID_OK)
        return status;
    for (size_t i = m->count; i > 0; i--) {
        if (!m->items[i - 1]->seen) {
            remove_item(m, m->items[i - 1]);
            scan.changed = true;
        }
    }
    *changed |= scan.changed;
    return EID_OK;
}

static eid_status read_one(struct messages *m, const char *key, bool *changed)
{
    eid_value *value = NULL;
    const char *row = NULL;
    size_t len = 0;
    eid_status status = eid_database_get(m->database, MESSAGES_STORE, key, &value);
    if (status != EID_OK && status != EID_ERR_KEY_NOT_FOUND && status != EID_ERR_TYPE_MISMATCH)
        return status;
    if (value != NULL && eid_value_as_text(value, &row, &len) != EID_OK)
        row = NULL;
    *changed |= apply_row(m, key, row, len);
    eid_value_free(value);
    return EID_OK;
}

/* ---- What changed ---- */

/* Reads the rows again that an entry names, as long as there are not too `many`. */
static eid_status read_named(struct messages *m, const void *data, size_t len, size_t *many, bool *changed)
{
    eid_doc *doc;
    const eid_doc_cursor *cursor = NULL;
    const char *text;
    size_t text_len;
    const eid_value *value;
    eid_status status = EID_OK;
    if (eid_doc_from_json(data, len, &doc) != EID_OK) {
        m->reload = true;
        return EID_OK;
    }
    while (status == EID_OK && !m->reload && eid_doc_next_raw(doc, &cursor, &text, &text_len, &value)) {
        if (memchr(text, '.', text_len) != NULL || memchr(text, '\0', text_len) != NULL || text_len == 0)
            continue;
        char *key = cli_alloc(text_len + 1);
        memcpy(key, text, text_len);
        m->reload = ++*many > ONE_BY_ONE_MAX;
        if (!m->reload)
            status = read_one(m, key, changed);
        free(key);
    }
    eid_doc_free(doc);
    return status;
}

static eid_status read_entry(struct messages *m, const eid_entry *entry, size_t *many, bool *changed)
{
    eid_status status = EID_OK;
    for (size_t i = 0; i < eid_entry_store_count(entry) && status == EID_OK; i++) {
        const void *data;
        size_t len;
        if (strcmp(eid_entry_store_name(entry, i), MESSAGES_STORE) == 0 && eid_entry_store_data(entry, i, &data, &len))
            status = read_named(m, data, len, many, changed);
    }
    return status;
}

/* In the order of arrival, in which nothing comes before what it was written after: what one person wrote is never shown
 * in another order. Write callbacks do not tell in that order when entries arrive on several connections at once. */
static eid_status read_feed(struct messages *m, bool *changed)
{
    size_t many = 0;
    for (;;) {
        eid_change change;
        eid_status status = eid_changes_next(m->feed, &change);
        if (status != EID_OK || change.kind == EID_CHANGE_NONE)
            return status;
        if (!m->reload)
            status = read_entry(m, change.entry, &many, changed);
        eid_entry_unref(change.entry);
        if (status != EID_OK)
            return status;
    }
}

eid_status messages_refresh(struct messages *m, bool *changed)
{
    *changed = false;
    eid_status status = read_feed(m, changed);
    if (status == EID_OK && m->reload)
        status = read_all(m, changed);
    m->reload = status != EID_OK; /* the feed has passed by; the next call makes up for it */
    return status;
}

static void on_write(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    (void)ctx;
    wake_ring();
}

eid_status messages_open(eid_database *database, struct messages **out)
{
    struct messages *m = cli_alloc(sizeof *m);
    m->database = database;
    m->reload = true;
    /* Listening first, so that nothing falls between the scan and what the feed tells. */
    eid_status status = eid_changes_open(database, MESSAGES_STORE, NULL, &m->feed);
    if (status == EID_OK)
        status = eid_database_on_write(database, on_write, NULL, &m->registration);
    bool changed;
    if (status == EID_OK)
        status = messages_refresh(m, &changed);
    if (status != EID_OK) {
        messages_close(m);
        return status;
    }
    *out = m;
    return EID_OK;
}

static void leave_item(void *item)
{
    (void)item; /* the tree only borrows */
}

void messages_close(struct messages *m)
{
    if (m == NULL)
        return;
    if (m->registration != NULL)
        eid_callback_remove(m->registration);
    eid_changes_close(m->feed);
    tdestroy(m->by_key, leave_item);
    for (size_t i = 0; i < m->count; i++)
        message_free(m->items[i]);
    free(m->items);
    free(m);
}

size_t messages_count(const struct messages *m)
{
    return m->count;
}

struct message *messages_at(struct messages *m, size_t index)
{
    return m->items[index];
}

void messages_take_new(struct messages *m, message_callback callback)
{
    /* What is new is nearly always last, so the way back to it is short however long the history is. */
    size_t start = m->count;
    for (size_t left = m->untaken; left > 0; left -= m->items[start]->taken ? 0 : 1)
        start--;
    for (; start < m->count; start++) {
        if (m->items[start]->taken)
            continue;
        callback(m->items[start]);
        m->items[start]->taken = true;
    }
    m->untaken = 0;
}
