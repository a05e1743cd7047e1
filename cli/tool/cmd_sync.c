/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about peers and sync. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qr.h"
#include "text.h"
#include "tool.h"
#include "util.h"
#include "wake.h"

#define FLUSH_MS 10000u

/* Opens the instance with its sync; the engine starts when `online`. */
static bool open_sync(struct tool *tool, bool online, eid_sync **out)
{
    return tool_open(tool, false) && tool_check(eid_instance_enable_sync(tool->instance), "cannot sync") &&
           tool_check(eid_instance_sync(tool->instance, out), "cannot sync") &&
           (!online || (tool_check(eid_sync_enable_http_transport(*out), "cannot sync") &&
                        tool_check(eid_sync_enable_iroh_transport(*out), "cannot sync")));
}

static void show_result(struct tool *tool, const eid_id *database, const eid_sync_result *result)
{
    out_record_begin(tool->out);
    out_id(tool->out, "database", database);
    out_key(tool->out, "peer", &result->peer);
    out_bool(tool->out, "new_here", result->bootstrapped);
    out_number(tool->out, "received", result->received);
    out_number(tool->out, "admitted", result->admitted);
    out_number(tool->out, "waiting", result->waiting);
    out_number(tool->out, "refused", result->refused);
    out_number(tool->out, "sent", result->sent);
    out_record_end(tool->out);
}

/* ---- with ---- */

/* Syncs what the ticket names, signed by the user's key where the user tracks the database. */
static bool sync_ticket(struct tool *tool, eid_sync *sync, const eid_ticket *ticket)
{
    eid_database_preferences prefs;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    bool tracked = eid_user_database_prefs(tool->user, eid_ticket_database_id(ticket), &prefs) == EID_OK;
    if (tracked)
        eid_database_preferences_clear(&prefs);
    bool good = tool_check(tracked ? eid_user_sync_with_ticket(tool->user, ticket, &result)
                                   : eid_sync_with_ticket(sync, ticket, &result),
                           "no sync");
    if (good)
        show_result(tool, eid_ticket_database_id(ticket), &result);
    return good;
}

static bool sync_at(struct tool *tool, eid_sync *sync, const eid_address *address, const eid_id *database)
{
    eid_ticket *ticket;
    if (!tool_check(eid_ticket_new(database, &ticket), "no sync"))
        return false;
    bool good =
        tool_check(eid_ticket_add_address(ticket, address), "no sync") && sync_ticket(tool, sync, ticket);
    eid_ticket_free(ticket);
    return good;
}

/* Everything the user shares. */
static bool sync_shared(struct tool *tool, eid_sync *sync, const eid_address *address)
{
    eid_database_preferences *list;
    size_t count;
    bool good = true;
    if (!tool_check(eid_user_list_database_prefs(tool->user, &list, &count), "cannot list what is shared"))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (list[i].sync_settings.sync_enabled)
            good = sync_at(tool, sync, address, &list[i].database_id) && good;
    }
    eid_database_preferences_free(list, count);
    return good;
}

static bool sync_where(struct tool *tool, eid_sync *sync, const char *where, const char *name)
{
    eid_address *address;
    eid_id id;
    if ((name != NULL && !tool_find(tool, name, &id)) ||
        !tool_check(eid_address_detect(where, &address), "not an address"))
        return false;
    bool good = name != NULL ? sync_at(tool, sync, address, &id) : sync_shared(tool, sync, address);
    eid_address_free(address);
    return good;
}

static int run_with(struct tool *tool)
{
    const char *where = args_positional(&tool->args, 0), *name = args_positional(&tool->args, 1);
    eid_sync *sync;
    eid_ticket *ticket = NULL;
    bool is_ticket = strncmp(where, "eidetica:", 9) == 0;
    if (is_ticket && name != NULL)
        return args_wrong(&tool->args, "a ticket names its database: give no other one");
    if (is_ticket && !tool_check(eid_ticket_parse(where, &ticket), "not a ticket"))
        return EXIT_FAILURE;
    bool good = tool_login(tool) && open_sync(tool, true, &sync);
    if (good) {
        out_list_begin(tool->out, "No database was synced: none is shared here.");
        good = is_ticket ? sync_ticket(tool, sync, ticket) : sync_where(tool, sync, where, name);
        out_list_end(tool->out);
    }
    eid_ticket_free(ticket);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- join ---- */

static const struct option_spec join_options[] = {
    {"permission", 'p', "PERMISSION", NULL, "what to ask for: read, write, write:5, admin (default: write)"},
    {"wait", 'w', NULL, NULL, "until somebody has approved, if it takes that"},
    {NULL, 0, NULL, NULL, NULL},
};

struct outcome {
    eid_status status;
    char *sentence;
    eid_sync_result result;
};

static void joined(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    struct outcome *outcome = ctx;
    outcome->status = status;
    outcome->sentence = cli_copy(sentence);
    outcome->result = *result;
    wake_ring();
}

/* Waits for approval, or for a signal. */
static bool join_waiting(struct tool *tool, const eid_ticket *ticket, eid_permission permission)
{
    eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    struct outcome outcome = {0};
    eid_sync_call *call;
    if (!tool_catch_signals() ||
        !tool_check(eid_user_await_database_access(tool->user, ticket, permission, &settings, joined,
                                                   &outcome, &call),
                    "cannot ask for access"))
        return false;
    out_say(tool->out, "Waiting for an answer; Ctrl-C gives up.");
    fflush(stdout);
    eid_status status;
    while ((status = eid_sync_call_wait(call, 0, NULL)) == EID_ERR_TIMEOUT) {
        struct pollfd fd = {.fd = wake_fd(), .events = POLLIN};
        if (poll(&fd, 1, -1) < 0 && errno != EINTR)
            break;
        wake_quiet();
        if (wake_stopping())
            eid_sync_call_cancel(call);
    }
    eid_sync_call_free(call);
    if (outcome.status != EID_OK)
        tool_failed_by("no access", outcome.status, outcome.sentence);
    else
        show_result(tool, eid_ticket_database_id(ticket), &outcome.result);
    free(outcome.sentence);
    return status == EID_OK;
}

static bool join(struct tool *tool, const eid_ticket *ticket, eid_permission permission)
{
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    if (!tool_check(eid_user_request_database_access(tool->user, ticket, permission, &result), "no access") ||
        !tool_check(eid_user_enable_sync(tool->user, eid_ticket_database_id(ticket)), "cannot share it"))
        return false;
    show_result(tool, eid_ticket_database_id(ticket), &result);
    return true;
}

static int run_join(struct tool *tool)
{
    const char *text = args_value(&tool->args, "permission");
    eid_permission permission;
    eid_ticket *ticket;
    eid_sync *sync;
    if (!tool_check(eid_permission_parse(text != NULL ? text : "write", &permission), "not a permission") ||
        !tool_check(eid_ticket_detect(args_positional(&tool->args, 0), &ticket), "not a ticket"))
        return EXIT_FAILURE;
    bool good = tool_login(tool) && open_sync(tool, true, &sync) &&
                (args_flag(&tool->args, "wait") ? join_waiting(tool, ticket, permission)
                                                : join(tool, ticket, permission));
    eid_ticket_free(ticket);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- share ---- */

static const struct option_spec share_options[] = {
    {"qr", 0, NULL, NULL, "also as a QR code"},
    {NULL, 0, NULL, NULL, NULL},
};

static bool add_addresses(struct tool *tool, eid_ticket *ticket)
{
    for (size_t i = 1; args_positional(&tool->args, i) != NULL; i++) {
        eid_address *address;
        if (!tool_check(eid_address_detect(args_positional(&tool->args, i), &address), "not an address"))
            return false;
        bool good = tool_check(eid_ticket_add_address(ticket, address), "no ticket was made");
        eid_address_free(address);
        if (!good)
            return false;
    }
    return true;
}

static void show_ticket(struct tool *tool, const eid_ticket *ticket)
{
    char *text;
    if (!tool_check(eid_ticket_format(ticket, &text), "cannot write the ticket"))
        return;
    out_record_begin(tool->out);
    out_text(tool->out, "ticket", text);
    out_record_end(tool->out);
    if (args_flag(&tool->args, "qr") && !out_is_json(tool->out))
        qr_print(text);
    eid_free(text);
}

static int run_share(struct tool *tool)
{
    eid_id id;
    eid_ticket *ticket;
    if (!tool_login(tool) || !tool_find(tool, args_positional(&tool->args, 0), &id) ||
        !tool_check(eid_user_enable_sync(tool->user, &id), "cannot share it") ||
        !tool_check(eid_ticket_new(&id, &ticket), "no ticket was made"))
        return EXIT_FAILURE;
    bool good = add_addresses(tool, ticket);
    if (good)
        show_ticket(tool, ticket);
    eid_ticket_free(ticket);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- discover, peers, retries ---- */

static int run_discover(struct tool *tool)
{
    eid_sync *sync;
    eid_offered_tree *trees;
    size_t count;
    if (!open_sync(tool, true, &sync) ||
        !tool_check(eid_sync_discover_peer_trees(sync, args_positional(&tool->args, 0), &trees, &count),
                    "cannot ask the peer"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "The peer names no databases to strangers.");
    for (size_t i = 0; i < count; i++) {
        out_record_begin(tool->out);
        out_id(tool->out, "id", &trees[i].id);
        out_text(tool->out, "name", trees[i].name);
        out_number(tool->out, "entries", trees[i].entry_count);
        out_seconds(tool->out, "modified", (int64_t)trees[i].last_modified);
        out_record_end(tool->out);
    }
    out_list_end(tool->out);
    eid_offered_trees_free(trees, count);
    return EXIT_SUCCESS;
}

static void show_peer(struct tool *tool, eid_sync *sync, const eid_peer_info *peer)
{
    eid_sync_metadata metadata = {.struct_size = sizeof metadata};
    size_t addresses = 0;
    while (peer->addresses[addresses] != NULL)
        addresses++;
    bool known = eid_sync_get_sync_metadata(sync, &peer->pubkey, &metadata) == EID_OK;
    out_record_begin(tool->out);
    out_key(tool->out, "peer", &peer->pubkey);
    out_text(tool->out, "name", peer->display_name);
    out_text(tool->out, "status", peer->status);
    out_text(tool->out, "last_seen", peer->last_seen);
    out_number(tool->out, "good", known ? metadata.successful_sync_count : 0);
    out_number(tool->out, "failed", known ? metadata.failed_sync_count : 0);
    out_number(tool->out, "entries", known ? metadata.total_entries_synced : 0);
    out_texts(tool->out, "addresses", (const char *const *)peer->addresses, addresses);
    out_text(tool->out, "last_error", peer->last_error);
    out_record_end(tool->out);
}

static int run_peers(struct tool *tool)
{
    eid_sync *sync;
    eid_peer_info *peers;
    size_t count;
    if (!open_sync(tool, false, &sync) ||
        !tool_check(eid_sync_list_peers(sync, &peers, &count), "cannot list the peers"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "No peers yet.");
    for (size_t i = 0; i < count; i++)
        show_peer(tool, sync, &peers[i]);
    out_list_end(tool->out);
    eid_peer_infos_free(peers, count);
    return EXIT_SUCCESS;
}

static int change_peer(struct tool *tool, eid_peer_status status, const char *done)
{
    eid_sync *sync;
    eid_pubkey peer;
    if (!tool_key(args_positional(&tool->args, 0), &peer) || !open_sync(tool, false, &sync) ||
        !tool_check(eid_sync_update_peer_status(sync, &peer, status), "nothing was changed"))
        return EXIT_FAILURE;
    out_say(tool->out, "%s", done);
    return EXIT_SUCCESS;
}

static int run_block(struct tool *tool)
{
    return change_peer(tool, EID_PEER_BLOCKED,
                       "Neither asked nor answered any more; 'eidetica sync unblock' undoes it.");
}

static int run_unblock(struct tool *tool)
{
    return change_peer(tool, EID_PEER_ACTIVE, "Takes part again.");
}

static int run_retries(struct tool *tool)
{
    eid_sync *sync;
    eid_retry *retries;
    size_t count;
    if (!open_sync(tool, false, &sync) ||
        !tool_check(eid_sync_retry_queue_list(sync, &retries, &count), "cannot read the queue"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "Nothing waits to be tried again.");
    for (size_t i = 0; i < count; i++) {
        out_record_begin(tool->out);
        out_key(tool->out, "peer", &retries[i].peer);
        out_id(tool->out, "database", &retries[i].database);
        out_number(tool->out, "attempts", retries[i].attempts);
        out_number(tool->out, "next_ms", retries[i].next_attempt_ms);
        out_text(tool->out, "last_error", retries[i].last_error);
        out_record_end(tool->out);
    }
    out_list_end(tool->out);
    eid_retries_free(retries, count);
    return EXIT_SUCCESS;
}

/* ---- Requests for access ---- */

static const struct option_spec request_options[] = {
    {"all", 'a', NULL, NULL, "those decided already too"},
    {NULL, 0, NULL, NULL, NULL},
};

static int run_requests(struct tool *tool)
{
    eid_sync *sync;
    eid_bootstrap_request *requests;
    size_t count;
    const char *status = args_flag(&tool->args, "all") ? NULL : "Pending";
    if (!open_sync(tool, false, &sync) ||
        !tool_check(eid_sync_list_bootstrap_requests(sync, status, &requests, &count),
                    "cannot list the requests"))
        return EXIT_FAILURE;
    out_list_begin(tool->out, "Nobody waits for an answer.");
    for (size_t i = 0; i < count; i++) {
        out_record_begin(tool->out);
        out_text(tool->out, "id", requests[i].id);
        out_text(tool->out, "status", requests[i].status);
        out_permission(tool->out, "permission", requests[i].permission);
        out_text(tool->out, "key_name", requests[i].key_name);
        out_key(tool->out, "key", &requests[i].key);
        out_id(tool->out, "database", &requests[i].database);
        out_text(tool->out, "asked", requests[i].timestamp);
        out_record_end(tool->out);
    }
    out_list_end(tool->out);
    eid_bootstrap_requests_free(requests, count);
    return EXIT_SUCCESS;
}

static int decide(struct tool *tool, eid_status (*decision)(eid_user *, const char *), const char *done)
{
    eid_sync *sync;
    if (!tool_login(tool) || !open_sync(tool, false, &sync) ||
        !tool_check(decision(tool->user, args_positional(&tool->args, 0)), "nothing was decided"))
        return EXIT_FAILURE;
    out_say(tool->out, "%s", done);
    return EXIT_SUCCESS;
}

static int run_approve(struct tool *tool)
{
    return decide(tool, eid_user_approve_bootstrap_request, "Approved: the key is listed in the database.");
}

static int run_reject(struct tool *tool)
{
    return decide(tool, eid_user_reject_bootstrap_request, "Rejected.");
}

/* ---- serve ---- */

static const struct option_spec serve_options[] = {
    {"host", 0, "ADDRESS", "EIDETICA_HOST", "numeric address to listen on (default: 0.0.0.0)"},
    {"port", 'p', "PORT", "EIDETICA_PORT", "port to listen on; 0: a free one (default: 3000)"},
    {"advertise", 0, "HOST:PORT", NULL, "what peers are told, behind NAT or a proxy"},
    {"certificate", 0, "FILE", NULL, "PEM certificate chain: serve https"},
    {"qr", 0, NULL, NULL, "show tickets as QR codes too"},
    {"relay", 0, "URL", NULL, "an Iroh relay at which peers without a direct way find this node"},
    {"http-only", 0, NULL, NULL, "do not serve by Iroh"},
    {"private-key", 0, "FILE", NULL, "PEM key of the certificate"},
    {NULL, 0, NULL, NULL, NULL},
};

static bool add_http(struct tool *tool, eid_sync *sync, const char *bind)
{
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    char *certificate = NULL, *key = NULL;
    bool good = tool_read_pem(tool, "certificate", &certificate) && tool_read_pem(tool, "private-key", &key);
    options.bind_address = bind;
    options.advertise = args_value(&tool->args, "advertise");
    options.certificate_pem = certificate;
    options.private_key_pem = key;
    good = good && tool_check(eid_sync_add_http_transport(sync, "http", &options), "cannot serve");
    free(certificate);
    tool_wipe(key);
    return good;
}

/* At the same address and port as HTTP, over UDP; a free port stands for each. */
static bool add_iroh(struct tool *tool, eid_sync *sync, const char *bind)
{
    const char *relay = args_value(&tool->args, "relay");
    eid_iroh_config *config;
    if (!tool_check(eid_iroh_config_new(&config), "cannot serve"))
        return false;
    eid_status status = eid_iroh_config_set_relay_mode(config, EID_IROH_RELAY_DISABLED);
    if (status == EID_OK)
        status = eid_iroh_config_set_bind_address(config, bind);
    if (status == EID_OK && relay != NULL)
        status = eid_iroh_config_add_relay(config, relay);
    if (status == EID_OK)
        status = eid_sync_enable_iroh_transport_with_config(sync, config);
    eid_iroh_config_free(config);
    return tool_check(status, "cannot serve by Iroh");
}

static bool start(struct tool *tool, eid_sync *sync, const char *bind)
{
    return add_http(tool, sync, bind) &&
           (args_flag(&tool->args, "http-only") || add_iroh(tool, sync, bind)) &&
           tool_check(eid_sync_accept_connections(sync), "cannot serve");
}

/* The tickets of everything the user shares. */
static bool show_shared(struct tool *tool, eid_sync *sync)
{
    eid_database_preferences *list;
    size_t count;
    if (!tool_check(eid_user_list_database_prefs(tool->user, &list, &count), "cannot list what is shared"))
        return false;
    for (size_t i = 0; i < count; i++) {
        eid_ticket *ticket;
        if (!list[i].sync_settings.sync_enabled ||
            eid_sync_create_ticket(sync, &list[i].database_id, &ticket) != EID_OK)
            continue;
        show_ticket(tool, ticket);
        eid_ticket_free(ticket);
    }
    eid_database_preferences_free(list, count);
    return true;
}

static void announce(struct tool *tool, eid_sync *sync)
{
    char **addresses;
    if (eid_sync_get_all_server_addresses(sync, &addresses) != EID_OK)
        return;
    for (size_t i = 0; addresses[i] != NULL; i++) {
        out_record_begin(tool->out);
        out_text(tool->out, "serving", addresses[i]);
        out_record_end(tool->out);
    }
    eid_free(addresses);
}

static int run_serve(struct tool *tool)
{
    const char *host = args_value(&tool->args, "host");
    unsigned long port;
    eid_sync *sync;
    if (!args_number(&tool->args, "port", 65535, 3000, &port))
        return EXIT_USAGE;
    if ((args_value(&tool->args, "certificate") == NULL) != (args_value(&tool->args, "private-key") == NULL))
        return args_wrong(&tool->args, "--certificate and --private-key belong together");
    if (args_flag(&tool->args, "http-only") && args_value(&tool->args, "relay") != NULL)
        return args_wrong(&tool->args, "--relay is for Iroh, which --http-only turns off");
    char *bind = tool_bind_address(host, port);
    bool good =
        tool_login(tool) && open_sync(tool, false, &sync) && tool_catch_signals() && start(tool, sync, bind);
    free(bind);
    if (!good)
        return EXIT_FAILURE;
    announce(tool, sync);
    good = show_shared(tool, sync) && out_flush(tool->out);
    if (good)
        tool_wait_for_signal();
    eid_status flushed = eid_sync_flush(sync, FLUSH_MS);
    if (flushed != EID_OK)
        tool_failed_by("not everything could be sent; it will be at the next start", flushed,
                       eid_last_error());
    out_say(tool->out, "Server shut down");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command commands_sync[] = {
    {"serve", "", "serve shared databases to peers until a signal comes", serve_options, run_serve},
    {"sync join", "TICKET", "ask for access to a database, fetch it, work with it", join_options, run_join},
    {"sync with", "TICKET|ADDRESS [DATABASE]", "sync now", NULL, run_with},
    {"sync share", "DATABASE [ADDRESS] ...", "let peers have it, and make a ticket", share_options,
     run_share},
    {"sync discover", "ADDRESS", "the databases a peer names to strangers", NULL, run_discover},
    {"sync peers", "", "who we sync with, and how it went", NULL, run_peers},
    {"sync block", "PEER", "deal with a peer no more", NULL, run_block},
    {"sync unblock", "PEER", "deal with it again", NULL, run_unblock},
    {"sync retries", "", "what could not be sent and is tried again", NULL, run_retries},
    {"sync requests", "", "who waits to be let in", request_options, run_requests},
    {"sync approve", "REQUEST", "let them in", NULL, run_approve},
    {"sync reject", "REQUEST", "do not let them in", NULL, run_reject},
    {NULL, NULL, NULL, NULL, NULL},
};
