/* SPDX-License-Identifier: Apache-2.0 */
/* The private database of remembered rooms; see notebook.h. Layout: DocStore `rooms`, keys "last" (ID of a
 * room) and, for each room, "ID.ticket" and "ID.listen". */
#include "notebook.h"

#include <stdlib.h>
#include <string.h>

#include <eidetica/memory.h>

#include "util.h"

#define NOTEBOOK_NAME  "eidetica-chat notebook"
#define NOTEBOOK_STORE "rooms"

static bool is_notebook(eid_user *user, eid_database *database)
{
    eid_entry *root = NULL;
    eid_pubkey own, signer;
    char *name = NULL;
    bool same = false;
    eid_user_get_default_key(user, &own);
    if (eid_database_name(database, &name) == EID_OK && strcmp(name, NOTEBOOK_NAME) == 0 &&
        eid_database_get_entry(database, eid_database_root_id(database), &root) == EID_OK)
        same = eid_entry_signer(root, &signer) && eid_pubkey_equal(&signer, &own);
    eid_entry_unref(root);
    eid_free(name);
    return same;
}

eid_status notebook_open(eid_user *user, bool create, eid_database **out)
{
    eid_database_preferences *tracked;
    size_t count;
    eid_status status = eid_user_list_database_prefs(user, &tracked, &count);
    if (status != EID_OK)
        return status;
    *out = NULL;
    for (size_t i = 0; i < count && *out == NULL; i++) {
        eid_database *database;
        if (tracked[i].sync_settings.sync_enabled ||
            eid_user_open_database(user, &tracked[i].database_id, &database) != EID_OK)
            continue;
        if (is_notebook(user, database))
            *out = database;
        else
            eid_database_close(database);
    }
    eid_database_preferences_free(tracked, count);
    if (*out == NULL && create)
        return eid_user_create_database(user, NOTEBOOK_NAME, out);
    return EID_OK;
}

/* A text of the notebook, or NULL. */
static char *read_text(eid_database *notebook, const char *path)
{
    eid_value *value;
    const char *text;
    char *copy = NULL;
    if (eid_database_get(notebook, NOTEBOOK_STORE, path, &value) != EID_OK)
        return NULL;
    if (eid_value_as_text(value, &text, NULL) == EID_OK && text[0] != '\0')
        copy = cli_copy(text);
    eid_value_free(value);
    return copy;
}

static char *room_path(const eid_id *room, const char *field)
{
    char id[EID_ID_TEXT_SIZE];
    eid_id_format(room, id);
    return cli_format("%s.%s", id, field);
}

void notebook_read(eid_database *notebook, const eid_id *room, struct note *out)
{
    char *ticket_path = room_path(room, "ticket");
    char *listen_path = room_path(room, "listen");
    out->ticket = read_text(notebook, ticket_path);
    out->listen = read_text(notebook, listen_path);
    free(ticket_path);
    free(listen_path);
}

void note_free(struct note *note)
{
    free(note->ticket);
    free(note->listen);
    note->ticket = note->listen = NULL;
}

bool notebook_last_room(eid_database *notebook, eid_id *room)
{
    char *text = read_text(notebook, "last");
    bool found = text != NULL && eid_id_parse(text, room) == EID_OK && !eid_id_is_empty(room);
    free(text);
    return found;
}

eid_status notebook_write(eid_database *notebook, const eid_id *room, const char *ticket, const char *listen)
{
    char id[EID_ID_TEXT_SIZE];
    eid_id_format(room, id);
    struct note old;
    notebook_read(notebook, room, &old);
    char *last = read_text(notebook, "last");
    bool same = last != NULL && strcmp(last, id) == 0 && old.listen != NULL &&
                strcmp(old.listen, listen) == 0 &&
                strcmp(old.ticket != NULL ? old.ticket : "", ticket != NULL ? ticket : "") == 0;
    note_free(&old);
    free(last);
    if (same)
        return EID_OK;

    eid_txn *txn;
    eid_status status = eid_database_new_transaction(notebook, &txn);
    if (status != EID_OK)
        return status;
    char *ticket_path = room_path(room, "ticket");
    char *listen_path = room_path(room, "listen");
    status = eid_docstore_set_text(txn, NOTEBOOK_STORE, "last", id);
    if (status == EID_OK)
        status = eid_docstore_set_text(txn, NOTEBOOK_STORE, ticket_path, ticket != NULL ? ticket : "");
    if (status == EID_OK)
        status = eid_docstore_set_text(txn, NOTEBOOK_STORE, listen_path, listen);
    free(ticket_path);
    free(listen_path);
    if (status == EID_OK)
        return eid_txn_commit_free(txn, NULL);
    eid_txn_free(txn);
    return status;
}
