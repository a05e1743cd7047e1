/* SPDX-License-Identifier: Apache-2.0 */
/* The relay: `eidetica relay`. It needs no instance. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "util.h"

static const struct option_spec relay_options[] = {
    {"host", 0, "ADDRESS", "EIDETICA_HOST", "numeric address to listen on (default: 0.0.0.0)"},
    {"port", 'p', "PORT", NULL,
     "port to listen on; 0: a free one (default: 443 with a certificate, else 3340)"},
    {"certificate", 0, "FILE", NULL, "PEM certificate chain: serve https"},
    {"private-key", 0, "FILE", NULL, "PEM key of the certificate"},
    {"clients", 0, "N", NULL, "connected at a time (default: 4096)"},
    {"clients-per-host", 0, "N", NULL, "of one address (default: 64)"},
    {"rate", 0, "KIB", NULL, "KiB a second taken from each client (default: as fast as they come)"},
    {NULL, 0, NULL, NULL, NULL},
};

/* False: told why. */
static bool read_limits(struct tool *tool, eid_relay_options *options)
{
    unsigned long clients, per_host, rate;
    if (!args_number(&tool->args, "clients", 1000000, 0, &clients) ||
        !args_number(&tool->args, "clients-per-host", 1000000, 0, &per_host) ||
        !args_number(&tool->args, "rate", 1000000, 0, &rate))
        return false;
    options->clients = (uint32_t)clients;
    options->clients_per_host = (uint32_t)per_host;
    options->bytes_per_second = rate * 1024;
    return true;
}

static void show_stats(struct tool *tool, eid_relay *relay)
{
    eid_relay_stats stats = {.struct_size = sizeof stats};
    eid_relay_get_stats(relay, &stats);
    out_record_begin(tool->out);
    out_number(tool->out, "accepted", stats.accepted);
    out_number(tool->out, "refused", stats.refused);
    out_number(tool->out, "forwarded", stats.forwarded);
    out_bytes_size(tool->out, "bytes", stats.bytes);
    out_number(tool->out, "dropped", stats.dropped);
    out_record_end(tool->out);
}

static bool relay(struct tool *tool, const eid_relay_options *options)
{
    eid_relay *running;
    if (!tool_catch_signals() || !tool_check(eid_relay_start(options, &running), "cannot relay"))
        return false;
    char *url = cli_format("%s://%s/", options->certificate_pem != NULL ? "https" : "http",
                           eid_relay_address(running));
    out_record_begin(tool->out);
    out_text(tool->out, "relay", url);
    out_record_end(tool->out);
    free(url);
    if (out_flush(tool->out))
        tool_wait_for_signal();
    show_stats(tool, running);
    eid_relay_stop(running);
    return true;
}

static int run_relay(struct tool *tool)
{
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    const char *host = args_value(&tool->args, "host");
    bool secure = args_value(&tool->args, "certificate") != NULL;
    unsigned long port;
    if (!args_number(&tool->args, "port", 65535, secure ? 443 : 3340, &port) || !read_limits(tool, &options))
        return EXIT_USAGE;
    if (secure != (args_value(&tool->args, "private-key") != NULL))
        return args_wrong(&tool->args, "--certificate and --private-key belong together");
    char *certificate, *key = NULL, *bind = tool_bind_address(host, port);
    bool good = tool_read_pem(tool, "certificate", &certificate) && tool_read_pem(tool, "private-key", &key);
    options.bind_address = bind;
    options.certificate_pem = certificate;
    options.private_key_pem = key;
    good = good && relay(tool, &options);
    free(certificate);
    tool_wipe(key);
    free(bind);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command commands_relay[] = {
    {"relay", "", "forward sealed datagrams between Iroh endpoints until a signal comes", relay_options,
     run_relay},
    {NULL, NULL, NULL, NULL, NULL},
};
