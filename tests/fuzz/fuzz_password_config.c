/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of password stores, which any writer of a database can put there: what is read keeps to the bounds, and a
 * wrong password is the worst that comes of opening it. Only cheap ones are opened. */
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "store/password_int.h"

static void check_config(const eid_password_config *config)
{
    eid_wrapped_type type;
    eid_aead_key *key;

    FUZZ_CHECK(config->salt[EID_KDF_SALT_LEN] == '\0');
    FUZZ_CHECK(config->wrapped != NULL || config->wrapped_len == 0);
    if (config->costs.memory_kib > 64 || config->costs.passes > 1 || config->costs.lanes > 1)
        return;
    if (eid_password_config_open(config, "store", "pw", &key, &type) == EID_OK) {
        FUZZ_CHECK(eid_wrapped_type_name(type) != NULL);
        eid_aead_key_free(key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_password_config config;
    eid_value *value;

    if (eid_value_from_json((const char *)data, size, &value) != EID_OK)
        return 0;
    if (eid_password_config_read("store", value, &config) == EID_OK) {
        check_config(&config);
        eid_password_config_free(&config);
    }
    eid_value_free(value);
    return 0;
}
