/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 against hashes made by the program b3sum, over the byte pattern i mod 251 as the official vectors
 * use it, fed in every way, and, where b3sum is installed, against b3sum itself on random lengths. */
#include "support/testutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/base.h"
#include "crypto/blake3.h"

#define CONTEXT "BLAKE3 2019-12-27 16:29:52 test vectors context"
#define LONGEST 102400

/* The length, the plain hash, and the key derived under CONTEXT. */
static const struct {
    size_t len;
    const char *hash;
    const char *derived;
} known[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"},
    {2, "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63",
     "1f166565a7df0098ee65922d7fea425fb18b9943f19d6161e2d17939356168e6"},
    {63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
     "b6451e30b953c206e34644c6803724e9d2725e0893039cfc49584f991f451af3"},
    {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
     "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e"},
    {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
     "51fd05c3c1cfbc8ed67d139ad76f5cf8236cd2acd26627a30c104dfd9d3ff8a8"},
    {127, "d81293fda863f008c09e92fc382a81f5a0b4a1251cba1634016a0f86a6bd640d",
     "c91c090ceee3a3ac81902da31838012625bbcd73fcb92e7d7e56f78deba4f0c3"},
    {128, "f17e570564b26578c33bb7f44643f539624b05df1a76c81f30acd548c44b45ef",
     "81720f34452f58a0120a58b6b4608384b5c51d11f39ce97161a0c0e442ca0225"},
    {129, "683aaae9f3c5ba37eaaf072aed0f9e30bac0865137bae68b1fde4ca2aebdcb12",
     "938d2d4435be30eafdbb2b7031f7857c98b04881227391dc40db3c7b21f41fc1"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
     "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"},
    {2047, "58830fbf51a4423c573b164471690570e544cfe793bead46225664796b4b1467",
     "c547153975e5492f090e93141a8d825729d9956215c8f995f8340edf4acd29bc"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
     "7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
     "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"},
    {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
     "050df97f8c2ead654d9bb3ab8c9178edcd902a32f8495949feadcc1e0480c46b"},
    {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
     "72613c9ec9ff7e40f8f5c173784c532ad852e827dba2bf85b2ab4b76f7079081"},
    {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
     "1e0d7f3db8c414c97c6307cbda6cd27ac3b030949da8e23be1a1a924ad2f25b9"},
    {4097, "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995",
     "aca51029626b55fda7117b42a7c211f8c6e9ba4fe5b7a8ca922f34299500ead8"},
    {5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833",
     "7a7acac8a02adcf3038d74cdd1d34527de8a0fcc0ee3399d1262397ce5817f60"},
    {5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
     "b07f01e518e702f7ccb44a267e9e112d403a7b3f4883a47ffbed4b48339b3c34"},
    {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63",
     "ad01d7ae4ad059b0d33baa3c01319dcf8088094d0359e5fd45d6aeaa8b2d0c3d"},
    {8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b",
     "af1e0346e389b17c23200270a64aa4e1ead98c61695d917de7d5b00491c9b0f1"},
    {16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4",
     "160e18b5878cd0df1c3af85eb25a0db5344d43a6fbd7a8ef4ed98d0714c3f7e1"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
     "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"},
};

static uint8_t *pattern;

static int make_pattern(void **state)
{
    (void)state;
    pattern = malloc(LONGEST);
    if (pattern == NULL)
        return -1;
    for (size_t i = 0; i < LONGEST; i++)
        pattern[i] = (uint8_t)(i % 251);
    return 0;
}

static int free_pattern(void **state)
{
    (void)state;
    free(pattern);
    return 0;
}

static void known_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t out[32];
        eid_blake3_hash(pattern, known[i].len, out);
        tu_assert_hex(out, sizeof out, known[i].hash);
    }
    /* What everybody knows by heart. */
    uint8_t out[32];
    eid_blake3_hash(NULL, 0, out);
    tu_assert_hex(out, sizeof out, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    eid_blake3_hash("abc", 3, out);
    tu_assert_hex(out, sizeof out, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
}

static void derived_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        eid_blake3 hasher;
        uint8_t out[32];
        eid_blake3_init_derive_key(&hasher, CONTEXT);
        eid_blake3_update(&hasher, pattern, known[i].len);
        eid_blake3_final(&hasher, out);
        tu_assert_hex(out, sizeof out, known[i].derived);
    }
    /* The context is hashed whole, also when it is longer than a block. */
    eid_blake3 a, b;
    uint8_t out_a[32], out_b[32];
    char context[200];
    memset(context, 'c', sizeof context);
    context[199] = '\0';
    eid_blake3_init_derive_key(&a, context);
    context[198] = 'd';
    eid_blake3_init_derive_key(&b, context);
    eid_blake3_final(&a, out_a);
    eid_blake3_final(&b, out_b);
    assert_memory_not_equal(out_a, out_b, sizeof out_a);
}

/* The same bytes in pieces of one size, for sizes around the block and the chunk. */
static void pieces_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 63, 64, 65, 100, 127, 128, 1000, 1023, 1024, 1025, 2048, 5000};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            eid_blake3 hasher;
            uint8_t out[32];
            eid_blake3_init(&hasher);
            for (size_t at = 0; at < known[i].len; at += sizes[j]) {
                size_t left = known[i].len - at;
                eid_blake3_update(&hasher, pattern + at, left < sizes[j] ? left : sizes[j]);
            }
            eid_blake3_final(&hasher, out);
            tu_assert_hex(out, sizeof out, known[i].hash);
        }
    }
}

static void pieces_of_random_sizes(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(3);
    for (size_t round = 0; round < 300; round++) {
        size_t i = (size_t)tu_random_below(&random, sizeof known / sizeof *known);
        eid_blake3 hasher;
        uint8_t out[32], between[32];
        size_t at = 0;
        eid_blake3_init(&hasher);
        while (at < known[i].len) {
            size_t limit = tu_random_below(&random, 4) == 0 ? 5000 : 70;
            size_t step = (size_t)tu_random_below(&random, limit);
            if (step > known[i].len - at)
                step = known[i].len - at;
            eid_blake3_update(&hasher, pattern + at, step);
            at += step;
            /* Asking for the hash in between disturbs nothing, and it is the hash of what came so far. */
            if (tu_random_below(&random, 50) == 0) {
                eid_blake3_final(&hasher, between);
                eid_blake3_hash(pattern, at, out);
                assert_memory_equal(between, out, sizeof out);
            }
        }
        eid_blake3_final(&hasher, out);
        tu_assert_hex(out, sizeof out, known[i].hash);
        eid_blake3_final(&hasher, between);
        assert_memory_equal(between, out, sizeof out);
    }
}

/* Inputs above 4 TiB have chunk numbers of more than 32 bits. No test can feed that much, so the number is
 * set; the hash was made by a separate implementation of the compression function. */
static void far_chunks_count_in_64_bits(void **state)
{
    (void)state;
    eid_blake3 hasher;
    uint8_t out[32];
    eid_blake3_init(&hasher);
    hasher.chunk_counter = ((uint64_t)1 << 32) + 5;
    eid_blake3_update(&hasher, "abc", 3);
    eid_blake3_final(&hasher, out);
    tu_assert_hex(out, sizeof out, "2b4d71b2cac61db29f05c231431339009bbafc9f86548943e38fd3dd80dc6078");
}

/* All lengths of a chunk and a bit have different hashes, and a byte anywhere matters. */
static void every_byte_matters(void **state)
{
    (void)state;
    static uint8_t hashes[1100][32];
    for (size_t len = 0; len < 1100; len++) {
        eid_blake3_hash(pattern, len, hashes[len]);
        for (size_t i = 0; i < len; i += 97)
            assert_memory_not_equal(hashes[len], hashes[i], 32);
    }
    uint8_t *copy = malloc(5120);
    assert_non_null(copy);
    uint8_t whole[32], changed[32];
    memcpy(copy, pattern, 5120);
    eid_blake3_hash(copy, 5120, whole);
    for (size_t i = 0; i < 5120; i += 7) {
        copy[i] ^= 0x10;
        eid_blake3_hash(copy, 5120, changed);
        assert_memory_not_equal(whole, changed, sizeof whole);
        copy[i] ^= 0x10;
    }
    free(copy);
}

static void identifiers(void **state)
{
    (void)state;
    eid_id id;
    char text[EID_ID_TEXT_SIZE];
    eid_id_of_bytes(EID_CODEC_RAW, "hello world", 11, &id);
    eid_id_format(&id, text);
    assert_string_equal(text, "bafkr4igxjga67jykbseaxdmmdgc5a5o3zp3htom2l6mrjznk7fvyggu6eq");
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, "root", 4, &id);
    eid_id_format(&id, text);
    assert_string_equal(text, "bafyr4iesuk3ypidnojzn6q7k7b5myo44duyv26ovthlbykczqned4qyzta");
    assert_true(eid_id_is_entry(&id));
}

/* One line of what a command prints about the file. */
static bool run_b3sum(const char *arguments, const char *path, char out[65])
{
    char command[512];
    snprintf(command, sizeof command, "b3sum --no-names %s '%s' 2>/dev/null", arguments, path);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        return false;
    bool read = fgets(out, 65, pipe) != NULL && strlen(out) == 64;
    return pclose(pipe) == 0 && read;
}

static void as_b3sum_has_it(void **state)
{
    (void)state;
    char *dir = tu_temp_dir();
    char *path = tu_path(dir, "input");
    char wanted[65];
    tu_random random = tu_random_seeded(65536);
    tu_write_file(path, pattern, 1);
    if (!run_b3sum("", path, wanted)) {
        print_message("skipped: the program b3sum is not installed\n");
        free(path);
        tu_temp_dir_remove(dir);
        skip();
    }
    for (size_t round = 0; round < 60; round++) {
        size_t len = (size_t)tu_random_below(&random, round < 30 ? 3000 : LONGEST + 1);
        uint8_t *bytes = malloc(len + 1);
        uint8_t out[32];
        assert_non_null(bytes);
        tu_random_fill(&random, bytes, len);
        tu_write_file(path, bytes, len);
        assert_true(run_b3sum("", path, wanted));
        eid_blake3_hash(bytes, len, out);
        tu_assert_hex(out, sizeof out, wanted);
        if (round % 3 == 0) {
            eid_blake3 hasher;
            assert_true(run_b3sum("--derive-key 'another context'", path, wanted));
            eid_blake3_init_derive_key(&hasher, "another context");
            eid_blake3_update(&hasher, bytes, len);
            eid_blake3_final(&hasher, out);
            tu_assert_hex(out, sizeof out, wanted);
        }
        free(bytes);
    }
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(derived_keys),
        cmocka_unit_test(pieces_of_every_size),
        cmocka_unit_test(pieces_of_random_sizes),
        cmocka_unit_test(far_chunks_count_in_64_bits),
        cmocka_unit_test(every_byte_matters),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(as_b3sum_has_it),
    };
    return cmocka_run_group_tests_name("crypto-blake3", tests, make_pattern, free_pattern);
}
