/* SPDX-License-Identifier: Apache-2.0 */
/* The database the commits go to. */
#include "bench.h"

#include <stdio.h>

#define KEYS 1000

void open_subject(subject *s, eid_durability durability)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    options.durability = durability;
    check(eid_instance_open_url_with(s->url, &options, &s->instance), "open");
    check(eid_instance_login_or_create_user(s->instance, "bench", NULL, &s->user), "login");
    if (s->entries == 0) {
        check(eid_user_create_database(s->user, "bench", &s->database), "create database");
        s->id = *eid_database_root_id(s->database);
        s->entries = 1;
    } else {
        check(eid_user_open_database(s->user, &s->id, &s->database), "open database");
    }
}

void close_subject(subject *s)
{
    eid_database_close(s->database);
    eid_user_logout(s->user);
    eid_instance_close(s->instance);
}

void commit_one(subject *s)
{
    char key[32], value[64];
    eid_txn *txn;
    snprintf(key, sizeof key, "key%u", s->sequence % KEYS);
    snprintf(value, sizeof value, "the value number %u of this key", s->sequence);
    s->sequence++;
    check(eid_database_new_transaction(s->database, &txn), "transaction");
    check(eid_docstore_set_text(txn, "notes", key, value), "set");
    check(eid_txn_commit_free(txn, NULL), "commit");
    s->entries++;
}

/* One member of a Doc that everybody writes. */
static void commit_hot(subject *s)
{
    char path[32];
    eid_txn *txn;
    snprintf(path, sizeof path, "hot.member%u", s->sequence % 100);
    s->sequence++;
    check(eid_database_new_transaction(s->database, &txn), "transaction");
    check(eid_docstore_set_int(txn, "board", path, s->sequence), "set");
    check(eid_txn_commit_free(txn, NULL), "commit");
    s->entries++;
}

void fill(subject *s, long entries)
{
    while (s->entries < entries) {
        if (s->entries % 2 == 0)
            commit_hot(s);
        else
            commit_one(s);
    }
}

unsigned written_keys(const subject *s)
{
    return s->sequence < KEYS ? s->sequence : KEYS;
}
