/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_QUIET_H
#define AUDIO_QUIET_H

/* Silences what PortAudio and the libraries it brings along write to standard error: a hundred
 * lines about devices that a machine does not have, and, when a device vanishes, some ten thousand
 * lines a second until its stream is closed.  Done once for the whole process; any thread. */
void quiet_libraries(void);

#endif
