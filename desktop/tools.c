/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/tools.h"

#include <string.h>

#include "desktop/confirm.h"
#include "desktop/launch.h"
#include "desktop/media.h"
#include "desktop/power.h"
#include "desktop/quiet.h"
#include "desktop/screen.h"
#include "desktop/screenshot.h"
#include "desktop/talk.h"
#include "desktop/timer-tools.h"
#include "desktop/volume.h"

#define PERCENT   "\"percent\":{\"type\":\"number\",\"minimum\":0,\"maximum\":100}"
#define DIRECTION "\"direction\":{\"type\":\"string\",\"enum\":[\"up\",\"down\"]}"
#define ON_OFF    "\"state\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"]}"

#define AMOUNT                                                                                     \
        "\"amount\":{\"type\":\"number\"},"                                                         \
        "\"unit\":{\"type\":\"string\",\"enum\":[\"second\",\"minute\",\"hour\"]}"
#define PLACE "\"place\":{\"type\":\"string\"}"
#define NAME  "\"name\":{\"type\":\"string\"}"
#define WHICH "\"which\":{\"type\":\"string\",\"enum\":[\"all\"]}"
#define HOUR                                                                                       \
        "\"hour\":{\"type\":\"number\"},\"minute\":{\"type\":\"number\"},"                           \
        "\"daytime\":{\"type\":\"string\",\"enum\":[\"morning\",\"afternoon\",\"evening\"]}"
#define DAY                                                                                        \
        "\"day\":{\"type\":\"string\",\"enum\":[\"today\",\"tomorrow\",\"monday\",\"tuesday\","       \
        "\"wednesday\",\"thursday\",\"friday\",\"saturday\",\"sunday\"]}"

/* clang-format off */
static const struct tool tools[] = {
        { .name = "set_volume", .run = volume_set, .group = "sound",
          .example = "set the volume to fifty percent",
          .description = "Sets the volume of the speakers.",
          .parameters = "{" PERCENT "}", .required = "[\"percent\"]" },
        { .name = "change_volume", .run = volume_change, .group = "sound",
          .example = "turn the volume up",
          .description = "Turns the volume up or down, by so many percent or a little.",
          .parameters = "{" DIRECTION "," PERCENT "}", .required = "[\"direction\"]" },
        { .name = "get_volume", .run = volume_get,
          .description = "Tells how loud the speakers are set.", .parameters = "{}" },
        { .name = "mute", .run = volume_mute, .group = "sound", .example = "mute",
          .description = "Mutes the speakers or the microphone, or takes that back.",
          .parameters = "{" ON_OFF ",\"device\":{\"type\":\"string\",\"enum\":[\"microphone\"]}}",
          .required = "[\"state\"]" },

        { .name = "set_timer", .run = timer_set, .group = "timers",
          .example = "set a pizza timer for ten minutes",
          .description = "Sets a timer that rings after a while, as a reminder. It may have a name.",
          .parameters = "{" AMOUNT "," NAME "}", .required = "[\"amount\",\"unit\"]" },
        { .name = "cancel_timer", .run = timer_cancel, .group = "timers",
          .example = "cancel the timer",
          .description = "Cancels the timer of that name, the latest, all, or everything: alarms as well.",
          .parameters = "{\"which\":{\"type\":\"string\",\"enum\":[\"all\",\"everything\"]}," NAME "}" },
        { .name = "get_timer", .run = timer_get, .group = "timers",
          .example = "how much time is left",
          .description = "Tells how much time is left on the timers.",
          .parameters = "{" NAME "}" },
        { .name = "pause_timer", .run = timer_pause, .group = "timers",
          .example = "pause the timer",
          .description = "Pauses a timer.", .parameters = "{" NAME "}" },
        { .name = "resume_timer", .run = timer_resume, .group = "timers",
          .description = "Lets a paused timer run again.", .parameters = "{" NAME "}" },
        { .name = "add_to_timer", .run = timer_add, .group = "timers",
          .example = "add five minutes to the timer",
          .description = "Makes a timer longer.",
          .parameters = "{" AMOUNT "," NAME "}", .required = "[\"amount\",\"unit\"]" },

        { .name = "set_alarm", .run = alarm_set, .group = "alarms",
          .example = "wake me tomorrow at seven in the morning",
          .description = "Sets an alarm, to wake up or as a reminder. hour: 0 and 13 to 23 of the 24 hour "
                         "clock, else with daytime, or whenever it comes next.",
          .parameters = "{" HOUR "," DAY "," NAME "}", .required = "[\"hour\"]" },
        { .name = "cancel_alarm", .run = alarm_cancel, .group = "alarms",
          .example = "cancel the alarm",
          .description = "Cancels the next alarm, the one of that name, or all.",
          .parameters = "{" WHICH "," NAME "}" },
        { .name = "get_alarm", .run = alarm_get, .group = "alarms",
          .example = "when is my alarm",
          .description = "Tells which alarms are set.", .parameters = "{}" },
        { .name = "snooze", .run = alarm_snooze, .group = "alarms",
          .example = "snooze five minutes",
          .description = "Silences what rings, which rings again later: in ten minutes if not told.",
          .parameters = "{" AMOUNT "}" },

        { .name = "media", .run = media_control, .group = "media", .example = "pause the music",
          .description = "Tells the player of music, songs or films what to do. play with a name: songs of the "
                         "user's folder of music by words of their title, artist or album.",
          .parameters = "{\"action\":{\"type\":\"string\",\"enum\":[\"play\",\"pause\",\"next\","
                        "\"previous\",\"stop\"]}," NAME "}", .required = "[\"action\"]" },
        { .name = "get_playing", .run = media_get_playing, .group = "media",
          .example = "what is playing",
          .description = "Tells what is playing: which song, which film.", .parameters = "{}" },
        { .name = "seek", .run = media_seek,
          .description = "Goes forward in what is playing, or back by a negative number of seconds.",
          .parameters = "{\"seconds\":{\"type\":\"number\"}}", .required = "[\"seconds\"]" },

        { .name = "set_brightness", .run = screen_set_brightness, .group = "the screen",
          .example = "set the brightness to fifty percent",
          .description = "Sets the brightness of the screen.",
          .parameters = "{" PERCENT "}", .required = "[\"percent\"]" },
        { .name = "change_brightness", .run = screen_change_brightness, .group = "the screen",
          .example = "make the screen brighter",
          .description = "Makes the screen brighter or darker, by so many percent or a little.",
          .parameters = "{" DIRECTION "," PERCENT "}", .required = "[\"direction\"]" },
        { .name = "lock_screen", .run = screen_lock, .group = "the screen",
          .example = "lock the screen",
          .description = "Locks the screen.", .parameters = "{}" },
        { .name = "take_screenshot", .run = screenshot_take, .group = "the screen",
          .example = "take a screenshot", .seconds = SCREENSHOT_SECONDS,
          .description = "Takes a picture of the screen, into a file or the clipboard, and shows what "
                         "is on it to a model that sees.",
          .parameters = "{\"to\":{\"type\":\"string\",\"enum\":[\"file\",\"clipboard\"]}}" },

        { .name = "open_program", .run = launch_program, .group = "programs",
          .example = "open the browser",
          .description = "Opens a program by its name or by what it is for, such as browser or mail.",
          .parameters = "{" NAME "}", .required = "[\"name\"]" },
        { .name = "open", .run = launch_target,
          .description = "Opens a web address or a file with the program for it.",
          .parameters = "{\"target\":{\"type\":\"string\"}}", .required = "[\"target\"]" },

        { .name = "do_not_disturb", .run = quiet_set, .group = "the computer",
          .example = "turn on do not disturb",
          .description = "Silences notifications, or no longer; for a while or until an hour, if told.",
          .parameters = "{" ON_OFF "," AMOUNT "," HOUR "}", .required = "[\"state\"]" },
        { .name = "get_battery", .run = power_get_battery, .group = "the computer",
          .example = "how full is the battery",
          .description = "Tells how full the battery is.", .parameters = "{}" },
        { .name = "suspend", .run = power_suspend, .question = "Really suspend?",
          .group = "the computer", .example = "suspend",
          .description = "Puts the machine to sleep.", .parameters = "{}" },
        { .name = "log_out", .run = power_log_out, .question = "Really log out?",
          .group = "the computer", .example = "log out",
          .description = "Ends the session of the user.", .parameters = "{}" },

        { .name = "get_time", .run = talk_time, .group = "the rest",
          .example = "what time is it",
          .description = "Gets the current time of day, here or at another place: a city or a country.",
          .parameters = "{" PLACE "}" },
        { .name = "get_date", .run = talk_date, .group = "the rest",
          .example = "what day is it",
          .description = "Gets the date and the day of the week of today or of another day, here or at another place.",
          .parameters = "{\"day\":{\"type\":\"string\",\"description\":\"tomorrow, next friday, ten days from now\"}," PLACE "}" },
        { .name = "repeat", .run = talk_repeat, .group = "the rest", .example = "say the answer again",
          .description = "Says the last answer again.", .parameters = "{}" },
        { .name = "stop", .run = talk_stop, .group = "the rest", .example = "stop",
          .description = "Stops what rings or speaks.", .parameters = "{}" },
        { .name = "help", .run = talk_help,
          .description = "Tells what can be said.", .parameters = "{}" },
        { .name = "yes", .run = confirm_yes,
          .description = "The user agrees to what was asked.", .parameters = "{}" },
        { .name = "no", .run = confirm_no,
          .description = "The user does not agree to what was asked.", .parameters = "{}" },
        { .name = "ask", .run = talk_ask,
          .description = "Asks the user for what is missing.",
          .parameters = "{\"about\":{\"type\":\"string\"}}" },
        { .name = "cannot", .run = talk_cannot,
          .description = "Says that something can not be done.",
          .parameters = "{\"what\":{\"type\":\"string\"}}" },
};
/* clang-format on */

#define N_TOOLS (sizeof(tools) / sizeof(tools[0]))

const struct tool *tools_all(size_t *ret_n) {
        *ret_n = N_TOOLS;
        return tools;
}

const struct tool *tools_find(const char *name) {
        for (size_t i = 0; i < N_TOOLS; i++)
                if (strcmp(tools[i].name, name) == 0)
                        return &tools[i];
        return NULL;
}

static json_t *describe(const struct tool *tool) {
        json_t *properties = json_loads(tool->parameters, 0, NULL);
        json_t *required = tool->required ? json_loads(tool->required, 0, NULL) : NULL;
        json_t *timeout = tool->seconds > 0 ? json_real(tool->seconds) : NULL;

        return json_pack("{s:s, s:s, s:b, s:o*, s:{s:s, s:o, s:o*}}", "name", tool->name,
                         "description", tool->description, "confirm", (int) (tool->question != NULL),
                         "timeout", timeout, "parameters", "type", "object", "properties",
                         properties, "required", required);
}

json_t *tools_describe(void) {
        json_t *all = json_array();

        for (size_t i = 0; i < N_TOOLS; i++)
                if (json_array_append_new(all, describe(&tools[i])) < 0) {
                        json_decref(all);
                        return NULL;
                }
        return all;
}
