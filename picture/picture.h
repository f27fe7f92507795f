/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PICTURE_PICTURE_H
#define PICTURE_PICTURE_H

#include <unistd.h>

#include "base/why.h"

/* A picture that somebody gave, decoded for the daemon.
 *
 * Decoders of pictures are what malicious files are made for.  So the daemon, which listens, has none:
 * it takes pixels, whose form is checked by one multiplication, from a memory that its giver can
 * change no more.  And the program that the user runs has his rights, so it does not decode either:
 * it starts itself again, as a program that knows nothing of the user, gives up all that a program
 * can do but compute in little memory and for a short time, and only then looks at the first byte.
 * What comes back is a number of pixels and those, or one line of text, neither of which is believed
 * before it is looked at. */

/* Bounds of what is taken; IMAGE_MAX_* of the model are the same. */
#define PICTURE_MAX_FILE    (64u << 20) /* bytes */
#define PICTURE_MAX_SIDE    65535u
#define PICTURE_MAX_PIXELS  (1u << 26)
#define PICTURE_MAX_MEMORY  (1024u << 20) /* bytes of the decoder's address space */
#define PICTURE_CPU_SECONDS 5             /* of its processor's time */
#define PICTURE_MAX_SECONDS 60            /* on a busy machine */

struct picture {
        int fd; /* owned; a sealed memory of width * height * 3 bytes: red, green, blue, by rows from the top */
        unsigned width, height;
};

/* Reads the file, the pipe or whatever fd is to its end, and decodes it: PNG, JPEG or WebP.  Waits.  0; -EFBIG,
 * -EBADMSG, -ENOTSUP, -ETIME, -ENOMEM or another -errno with one line that begins with the name. */
int picture_read(struct picture *ret, int fd, const char *name, struct why *why);
void picture_done(struct picture *p);

/* The first thing in main() of every program that calls picture_read(): where the program was started to
 * decode a picture, this does so and does not return. */
void picture_main(int argc, char **argv);

#endif
