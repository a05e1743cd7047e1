/* SPDX-License-Identifier: Apache-2.0 */
/* A text as a QR code in the terminal. */
#ifndef TOOL_QR_H
#define TOOL_QR_H

/* Prints it in half blocks with the quiet zone readers need, dark on light whatever the terminal's colours
 * are. Says so when the text is too long for one. */
void qr_print(const char *text);

#endif
