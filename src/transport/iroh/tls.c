/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS sessions with raw public keys. */
#include "transport/iroh/tls.h"

#include <gnutls/abstract.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/base.h"
#include "crypto/key.h"
#include "transport/iroh/addr.h"

/* X25519 first: a share is sent for it. One signature scheme, because endpoints have one kind of key. */
#define PRIORITIES                                                                                           \
    "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD:+SHA256:+SHA384:+GROUP-X25519:"    \
    "+GROUP-SECP256R1:+SIGN-EDDSA-ED25519:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%DISABLE_TLS13_COMPAT_MODE"

/* An Ed25519 key as SubjectPublicKeyInfo (RFC 8410): this, then the 32 bytes. */
static const uint8_t public_prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                          0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
/* And its seed as PKCS #8. */
static const uint8_t private_prefix[16] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                           0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

struct eid_iroh_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    gnutls_datum_t alpn;
};

static eid_status fail_tls(const char *what, int error)
{
    if (error == GNUTLS_E_MEMORY_ERROR)
        return eid_fail_memory();
    return eid_fail(EID_ERR_INTERNAL, "%s: %s", what, gnutls_strerror(error));
}

/* ---- The other end's key ---- */

static int verify(gnutls_session_t session)
{
    eid_iroh_tls_end *end = gnutls_session_get_ptr(session);
    unsigned count = 0;
    eid_pubkey key;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &count);

    if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK || list == NULL ||
        count != 1 || list[0].size != sizeof public_prefix + sizeof key.bytes ||
        memcmp(list[0].data, public_prefix, sizeof public_prefix) != 0)
        return -1;
    memcpy(key.bytes, list[0].data + sizeof public_prefix, sizeof key.bytes);
    if (!eid_pubkey_is_point(&key) || (!end->server && !eid_pubkey_equal(&key, &end->remote)))
        return -1;
    /* What follows is the proof that the other end has the secret half; GnuTLS checks it before the handshake
     * is over. */
    end->remote = key;
    end->proven = true;
    return 0;
}

/* ---- Our key ---- */

static int import_key(gnutls_privkey_t private_key, const eid_keypair *key)
{
    uint8_t der[sizeof private_prefix + 32];
    char text[EID_PUBKEY_TEXT_SIZE];
    size_t len;
    memcpy(der, private_prefix, sizeof private_prefix);
    eid_keypair_format(key, text);
    (void)eid_base64_decode(eid_slice_text(text + strlen("ed25519:")), der + sizeof private_prefix, 32, &len);
    gnutls_datum_t datum = {der, sizeof der};
    int error =
        gnutls_privkey_import_x509_raw(private_key, &datum, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN);
    eid_wipe(der, sizeof der);
    eid_wipe(text, sizeof text);
    return error;
}

static int make_raw_certificate(gnutls_privkey_t private_key, gnutls_pcert_st *out)
{
    gnutls_pubkey_t public_key;
    int error = gnutls_pubkey_init(&public_key);
    if (error < 0)
        return error;
    error = gnutls_pubkey_import_privkey(public_key, private_key, GNUTLS_KEY_DIGITAL_SIGNATURE, 0);
    if (error >= 0)
        error = gnutls_pcert_import_rawpk(out, public_key, 0);
    if (error < 0)
        gnutls_pubkey_deinit(public_key);
    return error;
}

/* On success the credentials own both. */
static int set_key(gnutls_certificate_credentials_t credentials, const eid_keypair *key)
{
    gnutls_privkey_t private_key;
    gnutls_pcert_st raw;
    int error = gnutls_privkey_init(&private_key);
    if (error < 0)
        return error;
    error = import_key(private_key, key);
    if (error >= 0)
        error = make_raw_certificate(private_key, &raw);
    if (error >= 0) {
        error = gnutls_certificate_set_key(credentials, NULL, 0, &raw, 1, private_key);
        if (error < 0)
            gnutls_pcert_deinit(&raw);
    }
    if (error < 0)
        gnutls_privkey_deinit(private_key);
    return error;
}

eid_status eid_iroh_tls_new(const eid_keypair *key, const char *alpn, eid_iroh_tls **out)
{
    eid_iroh_tls *tls = eid_alloc_zero(1, sizeof *tls);
    if (tls == NULL)
        return eid_fail_memory();
    tls->alpn = (gnutls_datum_t){(unsigned char *)eid_strdup(alpn), (unsigned)strlen(alpn)};
    int error = tls->alpn.data == NULL ? GNUTLS_E_MEMORY_ERROR
                                       : gnutls_priority_init2(&tls->priorities, PRIORITIES, NULL, 0);
    if (error >= 0)
        error = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (error >= 0)
        error = set_key(tls->credentials, key);
    if (error < 0) {
        eid_iroh_tls_free(tls);
        return fail_tls("the key of the Iroh endpoint could not be made ready", error);
    }
    gnutls_certificate_set_verify_function(tls->credentials, verify);
    *out = tls;
    return EID_OK;
}

void eid_iroh_tls_free(eid_iroh_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->credentials != NULL)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priorities != NULL)
        gnutls_priority_deinit(tls->priorities);
    eid_free(tls->alpn.data);
    eid_free(tls);
}

/* ---- Sessions ---- */

static int set_up(eid_iroh_tls *tls, eid_iroh_tls_end *end, gnutls_session_t session)
{
    char name[EID_IROH_SERVER_NAME_SIZE];
    gnutls_session_set_ptr(session, end);
    int error = gnutls_priority_set(session, tls->priorities);
    if (error >= 0)
        error = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    if (error >= 0)
        error = gnutls_alpn_set_protocols(session, &tls->alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (error < 0)
        return error;
    if (end->server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        return ngtcp2_crypto_gnutls_configure_server_session(session) == 0 ? 0 : GNUTLS_E_INTERNAL_ERROR;
    }
    eid_iroh_server_name(&end->remote, name);
    error = gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name));
    if (error >= 0 && ngtcp2_crypto_gnutls_configure_client_session(session) != 0)
        error = GNUTLS_E_INTERNAL_ERROR;
    return error;
}

eid_status eid_iroh_tls_session(eid_iroh_tls *tls, eid_iroh_tls_end *end, gnutls_session_t *out)
{
    gnutls_session_t session;
    int error = gnutls_init(&session, (end->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_ENABLE_RAWPK |
                                          GNUTLS_NO_END_OF_EARLY_DATA);
    if (error < 0)
        return fail_tls("a TLS session could not be made", error);
    error = set_up(tls, end, session);
    if (error < 0) {
        gnutls_deinit(session);
        return fail_tls("a TLS session could not be set up", error);
    }
    *out = session;
    return EID_OK;
}
