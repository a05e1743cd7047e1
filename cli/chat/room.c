/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, joining and reopening a room; see room.h.
 *
 * The order of things: data file, user, server (so that a peer that is asked for access already sees where we
 * listen), the database, the ticket. What can only fail for a person's reason (a wrong ticket, a file in use,
 * nobody there) ends in one sentence and a hint. */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <eidetica/iroh.h>
#include <eidetica/memory.h>

#include "notebook.h"
#include "text.h"
#include "util.h"

#define DEFAULT_LISTEN  "127.0.0.1:0"
#define JOIN_PRIORITY   5u /* what a joiner asks for: Write(5), as every peer of the room grants it */
#define PENDING_SECONDS 3u /* between two questions whether an admin has decided */
#define SYNC_SECONDS    2u /* the period noted in the user's preferences for the room */

/* ---- Failures ---- */

/* Complains with the library's sentence. */
static bool fail(const char *what)
{
    char *why = cli_last_error();
    cli_complain("%s: %s", what, why);
    free(why);
    return false;
}

/* The addresses of a ticket, for a sentence; free with free. */
static char *address_list(const eid_ticket *ticket)
{
    char *list = cli_copy("");
    for (size_t i = 0; ticket != NULL && i < eid_ticket_address_count(ticket); i++) {
        const char *text = eid_address_text(eid_ticket_address(ticket, i));
        char *shown = text_clean(text, strlen(text), TEXT_AUTHOR_MAX);
        char *longer = cli_format("%s%s%s", list, i > 0 ? ", " : "", shown);
        free(shown);
        free(list);
        list = longer;
    }
    if (list[0] != '\0')
        return list;
    free(list);
    return cli_copy("the peer");
}

char *room_problem(eid_status status, const eid_ticket *peers)
{
    char *where = address_list(peers);
    char *why = cli_last_error();
    char *sentence;
    switch (status) {
    case EID_ERR_CONNECTION_FAILED:
    case EID_ERR_NETWORK:
    case EID_ERR_TIMEOUT:
        sentence = cli_format("cannot reach %s (%s). Is the chat there running, and is the address right?",
                               where, why);
        break;
    case EID_ERR_NO_TRANSPORT_FOR_ADDRESS:
    case EID_ERR_NO_TRANSPORT_ENABLED:
        sentence = cli_format("no address of the ticket can be used with this transport: %s", where);
        break;
    case EID_ERR_BOOTSTRAP_PENDING:
        sentence = cli_format("%s has not decided about access yet", where);
        break;
    case EID_ERR_AUTH_REQUIRED:
    case EID_ERR_AUTH_FAILED:
    case EID_ERR_PERMISSION_DENIED:
    case EID_ERR_BOOTSTRAP_REJECTED:
        sentence = cli_format("%s refuses access to this room: %s", where, why);
        break;
    case EID_ERR_HANDSHAKE_FAILED:
    case EID_ERR_PROTOCOL_MISMATCH:
    case EID_ERR_UNEXPECTED_RESPONSE:
        sentence = cli_format("what answers at %s is not a peer this chat can talk to: %s", where, why);
        break;
    case EID_ERR_PROTOCOL:
        if (strstr(why, "Tree not found") != NULL)
            sentence = cli_format("%s does not have this room, or does not share it", where);
        else
            sentence = cli_format("%s refuses: %s", where, why);
        break;
    default:
        sentence = cli_format("the sync with %s failed: %s", where, why);
        break;
    }
    free(where);
    free(why);
    return sentence;
}

/* ---- The parts around the database ---- */

static bool open_instance(const struct room_wish *wish, struct room *room)
{
    char *url = wish->data != NULL ? cli_format("sqlite:%s", wish->data) : cli_copy("memory:");
    eid_status status = eid_instance_open_url(url, &room->instance);
    free(url);
    if (status != EID_OK)
        return fail(wish->data != NULL ? "cannot open the data file" : "cannot start");
    if (eid_instance_login_or_create_user(room->instance, wish->username, NULL, &room->user) != EID_OK)
        return fail("cannot open the user");
    room->author = cli_copy(wish->username);
    if (eid_instance_enable_sync(room->instance) != EID_OK ||
        eid_instance_sync(room->instance, &room->sync) != EID_OK ||
        (wish->iroh ? eid_sync_enable_iroh_transport : eid_sync_enable_http_transport)(room->sync) != EID_OK)
        return fail("cannot start the network part");
    return true;
}

/* Starts the server on the address wished for; without a wish on the one remembered, when that is still free.
 */
static bool start_server(struct room *room, const struct room_wish *wish, const char *remembered)
{
    eid_status status = EID_ERR_SERVER_BIND;
    const char *wished = wish->listen;
    /* Over Iroh peers are found by key: any address will do, so every one is taken. */
    if (wished == NULL && wish->iroh)
        wished = "every address";
    if (wished != NULL)
        status = eid_sync_start_server(room->sync, wished);
    else if (remembered != NULL)
        status = eid_sync_start_server(room->sync, remembered);
    if (status != EID_OK && wished == NULL) {
        if (remembered != NULL)
            cli_complain("%s, where this room was served before, is not free: tickets given out earlier no "
                          "longer work",
                          remembered);
        status = eid_sync_start_server(room->sync, DEFAULT_LISTEN);
    }
    char *address;
    if (status != EID_OK || eid_sync_get_server_address(room->sync, &address) != EID_OK)
        return fail("cannot listen for peers");
    room->listening = cli_copy(address);
    eid_free(address);
    return true;
}

/* Switches sync on, on every commit, and composes what is shown for sharing. */
static bool share(struct room *room)
{
    static const eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    eid_database_preferences preferences = EID_DATABASE_PREFERENCES_INIT;
    const eid_id *id = eid_database_root_id(room->database);
    preferences.database_id = *id;
    preferences.sync_settings = settings;
    preferences.sync_settings.interval_seconds = SYNC_SECONDS;
    eid_ticket *ticket = NULL;
    char *text;
    if (eid_user_add_database(room->user, &preferences) != EID_OK ||
        eid_user_share(room->user, id, &ticket) != EID_OK || eid_ticket_format(ticket, &text) != EID_OK) {
        eid_ticket_free(ticket);
        return fail("cannot share the room");
    }
    char id_text[EID_ID_TEXT_SIZE];
    eid_id_format(id, id_text);
    room->ticket = cli_copy(text);
    room->address = cli_format("%s@%s", id_text, room->listening);
    eid_free(text);
    eid_ticket_free(ticket);
    return true;
}

static void read_name(struct room *room)
{
    char *name;
    if (eid_database_name(room->database, &name) != EID_OK) {
        room->name = cli_copy("Unnamed room");
        return;
    }
    room->name = text_clean(name, strlen(name), TEXT_AUTHOR_MAX);
    eid_free(name);
}

/* ---- Ways into a room ---- */

static bool create_room(const char *wished_name, struct room *room)
{
    char name[64];
    if (wished_name == NULL) {
        time_t now = time(NULL);
        struct tm utc;
        gmtime_r(&now, &utc);
        strftime(name, sizeof name, "Chat Room - %Y-%m-%d %H:%M:%S", &utc);
        wished_name = name;
    }
    if (eid_user_create_database(room->user, wished_name, &room->database) != EID_OK)
        return fail("cannot create the room");
    eid_txn *txn;
    if (eid_database_new_transaction(room->database, &txn) != EID_OK)
        return fail("cannot create the room");
    if (eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_WRITE, 0}) != EID_OK) {
        eid_txn_free(txn);
        return fail("cannot open the room to others");
    }
    if (eid_txn_commit_free(txn, NULL) != EID_OK)
        return fail("cannot open the room to others");
    room->created = true;
    return true;
}

static eid_status await_decision(struct room *room, eid_permission wanted)
{
    eid_sync_call *call;
    eid_status status = eid_user_await_database_access(room->user, room->peers, wanted, NULL, NULL, NULL, &call);
    if (status != EID_OK)
        return status;
    do {
        cli_complain("waiting for an admin of the room to let %s in (Ctrl-C gives up)", room->author);
        status = eid_sync_call_wait(call, PENDING_SECONDS * 1000, NULL);
    } while (status == EID_ERR_TIMEOUT);
    eid_sync_call_free(call);
    return status;
}

/* Asks the peers for the room until they answer yes or no. */
static bool request_room(struct room *room)
{
    const eid_permission wanted = {EID_PERM_WRITE, JOIN_PRIORITY};
    if (eid_ticket_address_count(room->peers) == 0) {
        cli_complain("the ticket names no address, and the room is not in the data file: ask for a ticket "
                      "with an address");
        return false;
    }
    eid_status status = eid_user_request_database_access(room->user, room->peers, wanted, NULL);
    if (status == EID_ERR_BOOTSTRAP_PENDING)
        status = await_decision(room, wanted);
    if (status == EID_OK)
        return true;
    char *problem = room_problem(status, room->peers);
    cli_complain("cannot join the room: %s", problem);
    free(problem);
    return false;
}

static bool join_room(const struct room_wish *wish, struct room *room)
{
    const eid_id *id = eid_ticket_database_id(room->peers);
    if (eid_user_open_database(room->user, id, &room->database) == EID_OK)
        return true; /* held from an earlier run: the peers need not be there */
    if (!request_room(room))
        return false;
    if (eid_user_open_database(room->user, id, &room->database) != EID_OK)
        return fail("cannot open the room that was fetched");
    if (wish->room_name != NULL)
        cli_complain("--room-name is ignored: the room that was joined has its own name");
    return true;
}

/* Opens the room the notebook names, unless another one is wished for by name. */
static bool reopen_room(const struct room_wish *wish, const eid_id *id, struct room *room)
{
    eid_database *database;
    char *name = NULL;
    if (eid_user_open_database(room->user, id, &database) != EID_OK)
        return false;
    bool other = wish->room_name != NULL &&
                 (eid_database_name(database, &name) != EID_OK || strcmp(name, wish->room_name) != 0);
    eid_free(name);
    if (other) {
        eid_database_close(database);
        return false;
    }
    room->database = database;
    return true;
}

/* The addresses to sync with: of the ticket given, else of the one remembered. */
static bool choose_peers(const struct room_wish *wish, const struct note *note, struct room *room)
{
    const char *text = wish->ticket != NULL ? wish->ticket : note->ticket;
    if (text == NULL)
        return true;
    if (eid_ticket_detect(text, &room->peers) == EID_OK &&
        !eid_id_is_empty(eid_ticket_database_id(room->peers)))
        return true;
    if (wish->ticket == NULL)
        return true; /* a notebook that can not be read costs the addresses, not the room */
    char *shown = text_clean(text, strlen(text), TEXT_ERROR_MAX);
    cli_complain("'%s' is neither a ticket (eidetica:?db=...) nor an address (room_id@host:port)", shown);
    free(shown);
    return false;
}

/* Finds out which room this run is about: by the ticket, else by the notebook. *known is false for a new one.
 */
static bool choose_room(const struct room_wish *wish, eid_database *notebook, struct room *room,
                        struct note *note, bool *known)
{
    eid_id id;
    *known = false;
    if (wish->ticket != NULL) {
        struct note none = {NULL, NULL};
        if (!choose_peers(wish, &none, room))
            return false;
        if (notebook != NULL)
            notebook_read(notebook, eid_ticket_database_id(room->peers), note);
        *known = true;
        return true;
    }
    if (notebook != NULL && notebook_last_room(notebook, &id) && reopen_room(wish, &id, room)) {
        notebook_read(notebook, &id, note);
        *known = true;
        return choose_peers(wish, note, room);
    }
    return true;
}

static bool remember(struct room *room, eid_database *notebook)
{
    char *ticket = NULL;
    if (notebook == NULL)
        return true;
    if (room->peers != NULL && eid_ticket_format(room->peers, &ticket) != EID_OK)
        return fail("cannot remember the room");
    eid_status status =
        notebook_write(notebook, eid_database_root_id(room->database), ticket, room->listening);
    eid_free(ticket);
    return status == EID_OK || fail("cannot remember the room");
}

static bool open_parts(const struct room_wish *wish, struct room *room, eid_database **notebook,
                       struct note *note)
{
    bool known;
    if (!open_instance(wish, room))
        return false;
    if (wish->data != NULL && notebook_open(room->user, true, notebook) != EID_OK)
        return fail("cannot read what the data file remembers");
    if (!choose_room(wish, *notebook, room, note, &known) || !start_server(room, wish, note->listen))
        return false;
    if (room->database == NULL && !(known ? join_room(wish, room) : create_room(wish->room_name, room)))
        return false;
    read_name(room);
    return share(room) && remember(room, *notebook);
}

bool room_open(const struct room_wish *wish, struct room *room)
{
    eid_database *notebook = NULL;
    struct note note = {NULL, NULL};
    memset(room, 0, sizeof *room);
    bool opened = open_parts(wish, room, &notebook, &note);
    note_free(&note);
    eid_database_close(notebook);
    if (!opened)
        room_close(room);
    return opened;
}

void room_close(struct room *room)
{
    if (room->sync != NULL && eid_sync_is_server_running(room->sync) &&
        eid_sync_stop_server(room->sync) != EID_OK)
        fail("cannot stop listening");
    eid_ticket_free(room->peers);
    eid_database_close(room->database);
    eid_user_logout(room->user);
    if (room->instance != NULL)
        eid_instance_close(room->instance);
    free(room->name);
    free(room->author);
    free(room->address);
    free(room->ticket);
    free(room->listening);
    memset(room, 0, sizeof *room);
}
