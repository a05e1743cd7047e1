/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health with libcurl; see health.h. */
#include "health.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/eidetica.h>

#include "text.h"
#include "util.h"

#define ANSWER_MAX 65536u

struct answer {
    char bytes[ANSWER_MAX];
    size_t len;
};

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    struct answer *answer = ctx;
    size_t len = size * count;
    if (len > sizeof answer->bytes - answer->len)
        return 0; /* ends the transfer: no health report is that long */
    memcpy(answer->bytes + answer->len, data, len);
    answer->len += len;
    return len;
}

static char *health_url(const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    bool complete = len >= 7 && strncmp(url + len - 7, "/health", 7) == 0;
    return cli_format("%.*s%s", (int)len, url, complete ? "" : "/health");
}

static bool says_healthy(const struct answer *answer, char **status)
{
    eid_doc *doc;
    const char *text = NULL;
    size_t len = 0;
    *status = NULL;
    if (eid_doc_from_plain_json(answer->bytes, answer->len, &doc) != EID_OK)
        return false;
    bool found = eid_doc_get_text(doc, "status", &text, &len) == EID_OK;
    bool healthy = found && strcmp(text, "healthy") == 0;
    if (found)
        *status = cli_copy(text);
    eid_doc_free(doc);
    return healthy;
}

static void judge(CURLcode result, long code, const char *url, const struct answer *answer,
                  struct health *out)
{
    char *status = NULL;
    if (result != CURLE_OK)
        out->text = cli_format("unhealthy: failed to connect to %s: %s", url, curl_easy_strerror(result));
    else if (code < 200 || code > 299)
        out->text = cli_format("unhealthy: server returned HTTP status %ld", code);
    else if (!says_healthy(answer, &status))
        out->text = cli_format("unhealthy: server returned status %s", status != NULL ? status : "none");
    else
        out->text = cli_format("%.*s", (int)answer->len, answer->bytes);
    out->good =
        result == CURLE_OK && code >= 200 && code <= 299 && status != NULL && strcmp(status, "healthy") == 0;
    free(status);
}

void health_ask(const char *url, unsigned long timeout_seconds, struct health *out)
{
    char *full = health_url(url);
    struct answer *answer = cli_alloc(sizeof *answer);
    long code = 0;
    CURL *curl = curl_easy_init();
    CURLcode result = CURLE_FAILED_INIT;
    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_URL, full);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_seconds);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
        result = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_cleanup(curl);
    }
    judge(result, code, full, answer, out);
    free(answer);
    free(full);
}
