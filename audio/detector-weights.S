/* SPDX-License-Identifier: Apache-2.0 */
/* audio/detector.bin as read-only data; the build passes its path as DETECTOR_FILE. */
        .section .rodata
        .balign 64
        .global detector_begin
        .global detector_end
detector_begin:
        .incbin DETECTOR_FILE
detector_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits
