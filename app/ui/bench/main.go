// Command bench measures the window and prints lines of `name value unit`.
//
// The real program (bin/godwit-desktop) is started on a screen in memory, drawn by
// software, with a profile of 100,000 messages and a relay beside it. It is moved by the
// mouse alone, and what it shows is read off the screen:
//
//	desktop_first_paint_s         from its start until the list of chats stands there as it stays
//	desktop_first_paint_cpu_s     what that takes of one CPU, on a computer that does other things too
//	timeline_open_ms              from a click on a chat until its newest page stands there
//	timeline_open_thread_ms       what of that the window's thread works, see below
//	timeline_scroll_ms_p99        what the window's thread works for one step of the wheel among 100,000 messages: pages of
//	                              the store, measuring, placing, and the list of what is to be drawn, for the whole window
//	timeline_wheel_ms_p99         from a step of the wheel until it is seen (the window looks 60 times a second)
//	desktop_rss_mib               after 10,000 messages were scrolled through
//	desktop_idle_cpu_percent      of one CPU, in a minute in which nobody does anything, the node included
//
// The window's thread does all but draw: OpenGL does that, here on threads of its own. What
// it works is CPU time, from before the click until all is calm again.
//
// And the widgets that are our own, in this process and without a screen:
//
//	widget_scroll_ms_p99          one step among 100,000 messages: pages, measuring, placing, drawing what is new
//	widget_resize_ms_p99          one step of another width
//	widget_open_ms                a conversation of 100,000 messages in memory is opened, and its newest page drawn
//	hostile_..._ms                the worst texts of strangers, made ready, laid out and drawn
//
// Of the widgets is drawn what a window has to draw anew: the pictures of rows that came
// into view, and the words beside them. What only moves costs a GPU nothing to speak of.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	widgets()
	if err := program(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func print(name string, value float64, unit string) {
	fmt.Println(name, strconv.FormatFloat(value, 'g', 4, 64), unit)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
