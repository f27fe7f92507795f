/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SCREENSHOT_H
#define DESKTOP_SCREENSHOT_H

#include "desktop/call.h"

struct desktop;

/* The tool take_screenshot: by the desktop's portal, else by a program that can. */
void screenshot_take(struct desktop *d, struct call *call);

/* A person may have to allow it first. */
#define SCREENSHOT_SECONDS 60

#endif
