/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP transports as programs ask for them, and as `_sync` keeps them: {"bind_address":S} as the Rust side has it, and what
 * else the options say. Certificate and key are not kept; that there were some is ("https"), so that nobody is served in
 * clear by mistake. */
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/sized.h"
#include "transport/http_int.h"

#define CONFIG_TYPE "http:v0"

/* ---- Keeping ---- */

static eid_status set_text(eid_doc *config, const char *name, const char *text)
{
    return text == NULL ? EID_OK : eid_doc_set_string(config, name, text);
}

static eid_status set_number(eid_doc *config, const char *name, uint32_t number)
{
    return number == 0 ? EID_OK : eid_doc_set_int(config, name, number);
}

static eid_status write_config(const eid_http_options *options, eid_doc *config)
{
    EID_TRY(set_text(config, "bind_address", options->bind_address));
    EID_TRY(set_text(config, "advertise", options->advertise));
    EID_TRY(set_text(config, "trusted_file", options->trusted_file));
    EID_TRY(set_number(config, "requests_per_minute", options->requests_per_minute));
    EID_TRY(set_number(config, "connections", options->connections));
    EID_TRY(set_number(config, "connections_per_address", options->connections_per_address));
    return options->certificate_pem == NULL ? EID_OK : eid_doc_set_bool(config, "https", true);
}

static eid_status keep(eid_sync *sync, const char *name, const eid_http_options *options)
{
    eid_doc *config;
    EID_TRY(eid_doc_new(&config));
    eid_status status = write_config(options, config);
    if (status == EID_OK)
        status = eid_sync_keep_transport(sync, name, CONFIG_TYPE, config);
    eid_doc_free(config);
    return status;
}

eid_status eid_sync_add_http_transport(eid_sync *sync, const char *name, const eid_http_options *options)
{
    eid_http_options used = EID_HTTP_OPTIONS_INIT;

    EID_NEED(sync && name);
    if (options != NULL)
        EID_TRY(eid_sized_take(&used, sizeof used, options, "eid_http_options"));
    if ((used.certificate_pem == NULL) != (used.private_key_pem == NULL))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a certificate and its private key belong together");
    EID_TRY(eid_sync_check_transport_name(name));
    EID_TRY(eid_http_transport_add(sync, name, &used));
    return keep(sync, name, &used);
}

/* ---- Making them again ---- */

/* Texts are lent by the configuration. */
static void read_config(const eid_doc *config, eid_http_options *out)
{
    const char **const texts[] = {&out->bind_address, &out->advertise, &out->trusted_file};
    static const char *const names[] = {"bind_address", "advertise", "trusted_file"};
    uint32_t *const numbers[] = {&out->requests_per_minute, &out->connections, &out->connections_per_address};
    static const char *const number_names[] = {"requests_per_minute", "connections", "connections_per_address"};
    const char *text;
    size_t len;
    int64_t number;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (eid_doc_get_text(config, names[i], &text, &len) == EID_OK)
            *texts[i] = text;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (eid_doc_get_int(config, number_names[i], &number) == EID_OK && number > 0 && number <= UINT32_MAX)
            *numbers[i] = (uint32_t)number;
}

eid_status eid_http_transport_restore(eid_sync *sync, const char *name)
{
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    eid_doc *config;
    bool https;
    if (eid_sync_has_transport(sync, name))
        return EID_OK;
    EID_TRY(eid_sync_kept_transport(sync, name, CONFIG_TYPE, &config));
    read_config(config, &options);
    eid_status status;
    if (eid_doc_get_bool(config, "https", &https) == EID_OK && https)
        status = eid_fail(EID_ERR_UNSUPPORTED, "Failed to initialize transport: certificate and key are not kept: add it anew");
    else
        status = eid_http_transport_add(sync, name, &options);
    eid_doc_free(config);
    return status;
}

eid_status eid_sync_enable_http_transport(eid_sync *sync)
{
    static const eid_http_options defaults = EID_HTTP_OPTIONS_INIT;
    EID_NEED(sync);
    /* Asked for twice, the second time changes nothing: a running server goes on. */
    eid_status status = eid_http_transport_restore(sync, EID_HTTP_NAME);
    return status == EID_OK || status == EID_ERR_NO_MEMORY ? status : eid_http_transport_add(sync, EID_HTTP_NAME, &defaults);
}
