/* SPDX-License-Identifier: Apache-2.0 */
/* Two rows of modules in one line of text, by libqrencode; see qr.h. */
#include "qr.h"

#include <qrencode.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

#define QUIET                                                                                                \
    2 /* modules around the code: half of the standard's zone is enough for telephones and saves the screen  \
       */

static bool is_dark(const QRcode *code, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return inside && (code->data[y * code->width + x] & 1) != 0;
}

void qr_print(const char *text)
{
    /* Indexed by the upper module and the lower one; light is drawn, in white on black. */
    static const char *const blocks[2][2] = {{"█", "▀"}, {"▄", " "}};
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (code == NULL) {
        cli_complain("the text is too long for a QR code");
        return;
    }
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        fputs("\033[97;40m", stdout);
        for (int x = -QUIET; x < code->width + QUIET; x++)
            fputs(blocks[is_dark(code, x, y)][is_dark(code, x, y + 1)], stdout);
        fputs("\033[0m\n", stdout);
    }
    QRcode_free(code);
}
