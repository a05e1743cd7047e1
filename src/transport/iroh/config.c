/* SPDX-License-Identifier: Apache-2.0 */
/* How an Iroh transport is configured, and its form in `_sync`. */
#include "transport/iroh/config_int.h"

#include <string.h>

#include "base/alloc.h"

static const char *const mode_names[] = {"Default", "Staging", "Disabled", "Custom"};
#define MODES (sizeof mode_names / sizeof mode_names[0])

eid_status eid_iroh_config_new(eid_iroh_config **out)
{
    EID_NEED(out);
    eid_iroh_config *config = eid_alloc_zero(1, sizeof *config);
    if (config == NULL)
        return eid_fail_memory();
    *out = config;
    return EID_OK;
}

void eid_iroh_config_free(eid_iroh_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->relay_count; i++)
        eid_free(config->relays[i]);
    eid_free(config);
}

eid_status eid_iroh_config_set_relay_mode(eid_iroh_config *config, eid_iroh_relay_mode mode)
{
    EID_NEED(config);
    if ((unsigned)mode >= MODES)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "there is no relay mode %u", (unsigned)mode);
    config->mode = mode;
    return EID_OK;
}

eid_iroh_relay_mode eid_iroh_config_relay_mode(const eid_iroh_config *config)
{
    return config->mode;
}

eid_status eid_iroh_config_add_relay(eid_iroh_config *config, const char *url)
{
    EID_NEED(config && url);
    char *normal;
    if (config->relay_count == EID_LIMIT_ENDPOINT_RELAYS)
        return eid_fail(EID_ERR_LIMIT, "at most %d relays can be used", EID_LIMIT_ENDPOINT_RELAYS);
    EID_TRY(eid_iroh_relay_url(eid_slice_text(url), &normal));
    config->relays[config->relay_count++] = normal;
    config->mode = EID_IROH_RELAY_CUSTOM;
    return EID_OK;
}

size_t eid_iroh_config_relay_count(const eid_iroh_config *config)
{
    return config->relay_count;
}

const char *eid_iroh_config_relay(const eid_iroh_config *config, size_t index)
{
    return index < config->relay_count ? config->relays[index] : NULL;
}

eid_status eid_iroh_config_set_bind_address(eid_iroh_config *config, const char *bind_address)
{
    EID_NEED(config);
    eid_sockaddr bind;
    if (bind_address != NULL) {
        EID_TRY(eid_sockaddr_parse(eid_slice_text(bind_address), &bind));
        config->bind = bind;
    }
    config->has_bind = bind_address != NULL;
    return EID_OK;
}

/* ---- As `_sync` keeps it ---- */

static eid_status write_relays(const eid_iroh_config *config, eid_doc *doc)
{
    eid_list *relays;
    eid_value *value = NULL;
    EID_TRY(eid_list_new(&relays));
    eid_status status = EID_OK;
    for (size_t i = 0; i < config->relay_count && status == EID_OK; i++)
        status = eid_list_push_text(relays, config->relays[i]);
    if (status == EID_OK)
        status = eid_value_new_list(relays, &value);
    if (status == EID_OK)
        status = eid_doc_set(doc, "relays", value);
    eid_value_free(value);
    eid_list_free(relays);
    return status;
}

static eid_status fill_doc(const eid_iroh_config *config, eid_doc *doc)
{
    char bind[EID_SOCKADDR_TEXT_SIZE];
    EID_TRY(eid_doc_set_string(doc, "relay_mode", mode_names[config->mode]));
    if (config->mode == EID_IROH_RELAY_CUSTOM)
        EID_TRY(write_relays(config, doc));
    if (!config->has_bind)
        return EID_OK;
    eid_sockaddr_format(&config->bind, bind);
    return eid_doc_set_string(doc, "bind_address", bind);
}

eid_status eid_iroh_config_write(const eid_iroh_config *config, eid_doc **out)
{
    eid_doc *doc;
    EID_TRY(eid_doc_new(&doc));
    eid_status status = fill_doc(config, doc);
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

static eid_status read_mode(const eid_doc *doc, eid_iroh_relay_mode *out)
{
    const char *text;
    size_t len;
    EID_TRY(eid_doc_get_text(doc, "relay_mode", &text, &len));
    for (size_t i = 0; i < MODES; i++)
        if (strcmp(text, mode_names[i]) == 0) {
            *out = (eid_iroh_relay_mode)i;
            return EID_OK;
        }
    return eid_fail(EID_ERR_RANGE, "there is no relay mode '%.40s'", text);
}

static eid_status read_relays(const eid_doc *doc, eid_iroh_config *config)
{
    const eid_list *relays;
    const char *url;
    size_t len;
    eid_status status = eid_doc_get_list(doc, "relays", &relays);
    for (size_t i = 0; status == EID_OK && i < eid_list_len(relays); i++) {
        EID_TRY(eid_list_get_text(relays, i, &url, &len));
        EID_TRY(eid_iroh_config_add_relay(config, url));
    }
    return status == EID_ERR_KEY_NOT_FOUND ? EID_OK : status;
}

static eid_status read_doc(const eid_doc *doc, eid_iroh_config *config)
{
    eid_iroh_relay_mode mode = EID_IROH_RELAY_DEFAULT;
    const char *bind;
    size_t len;
    EID_TRY(read_mode(doc, &mode));
    EID_TRY(read_relays(doc, config));
    config->mode = mode;
    eid_status status = eid_doc_get_text(doc, "bind_address", &bind, &len);
    return status == EID_OK                  ? eid_iroh_config_set_bind_address(config, bind)
           : status == EID_ERR_KEY_NOT_FOUND ? EID_OK
                                             : status;
}

eid_status eid_iroh_config_read(const eid_doc *doc, eid_iroh_config **out)
{
    eid_iroh_config *config;
    EID_TRY(eid_iroh_config_new(&config));
    eid_status status = read_doc(doc, config);
    if (status != EID_OK) {
        eid_iroh_config_free(config);
        return status == EID_ERR_NO_MEMORY
                   ? status
                   : eid_fail_context(EID_ERR_CORRUPT,
                                      "the configuration of the Iroh transport can not be read");
    }
    *out = config;
    return EID_OK;
}
