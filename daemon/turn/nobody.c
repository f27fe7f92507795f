/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/nobody.h"

#include <stdio.h>
#include <string.h>

/* What the calls of the pocket model do (training/contexts/desktop.yaml), so that nobody has to be
 * told the name of a function.  NULL: it does nothing. */
static const struct deed {
        const char *name, *deed;
} deeds[] = {
        { "set_timer", "set timers" },
        { "cancel_timer", "cancel timers" },
        { "get_timer", "look at timers" },
        { "pause_timer", "pause timers" },
        { "resume_timer", "resume timers" },
        { "add_to_timer", "change timers" },
        { "set_alarm", "set alarms" },
        { "cancel_alarm", "cancel alarms" },
        { "get_alarm", "look at alarms" },
        { "snooze", "snooze alarms" },
        { "change_volume", "change the volume" },
        { "set_volume", "change the volume" },
        { "get_volume", "look at the volume" },
        { "mute", "mute the sound" },
        { "media", "play music" },
        { "get_playing", "see what is playing" },
        { "change_brightness", "change the brightness" },
        { "set_brightness", "change the brightness" },
        { "lock_screen", "lock the screen" },
        { "take_screenshot", "take screenshots" },
        { "suspend", "suspend the machine" },
        { "log_out", "log out" },
        { "open_program", "open programs" },
        { "do_not_disturb", "hold back notifications" },
        { "get_battery", "look at the battery" },
        { "repeat", "repeat an answer" },
        { "help", "list the commands" },
        { "ask", "do that" },
        { "cannot", "do that" },
        { "wake", NULL },
        { "stop", NULL },
        { "yes", NULL },
        { "no", NULL },
};

bool nobody_say(const char *name, bool desktop_runs, char *out, size_t out_size) {
        for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
                if (strcmp(deeds[i].name, name) != 0)
                        continue;
                if (!deeds[i].deed)
                        return false;
                (void) snprintf(out, out_size, "Nothing here can %s%s.", deeds[i].deed,
                                desktop_runs ? "" : ": " NOBODY_DESKTOP " is not running");
                return true;
        }
        (void) snprintf(out, out_size, "Nothing here can carry out %.64s.", name);
        return true;
}
