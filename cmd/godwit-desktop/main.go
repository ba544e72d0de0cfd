// Command godwit-desktop is Godwit with a window: the same node as `godwit node` runs,
// in one process with the window (app/ui). It serves the same local API, so `godwit`
// works beside it; and where a node runs already, it shows that one.
//
// It takes the flags of `godwit node`, and a godwit: link to begin with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"fyne.io/fyne/v2"
	fyneapp "fyne.io/fyne/v2/app"
	fynelang "fyne.io/fyne/v2/lang"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/desktop/autostart"
	"github.com/godwit-im/godwit/app/desktop/notify"
	"github.com/godwit-im/godwit/app/desktop/single"
	"github.com/godwit-im/godwit/app/desktop/tray"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui"
	"github.com/godwit-im/godwit/assets"
)

// appID names the program to the system: its desktop file, its bundle.
const appID = "im.godwit.desktop"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second one ends it at once
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	p := problem.From(err)
	fmt.Fprintf(os.Stderr, "godwit-desktop: %s\n%s %s\n", p.Error(), p.Means, p.Do)
	os.Exit(p.Exit)
}

// settings are the settings that can be given as flags, as of `godwit node`.
var settings = [...]struct{ key, value, usage string }{
	{"network", "NETWORK", "public, lan or loopback"},
	{"listen", "MULTIADDR", "listen there (repeatable)"},
	{"peer", "MULTIADDR", "start from this peer (repeatable)"},
	{"bootstrap", "FILE", "start from the peers that this file lists, too"},
	{"relay", "MULTIADDR", "keep this account's mail at this relay (repeatable)"},
	{"choose_relays", "auto|on|off", "find relays, test them and replace those that fail (auto: in public)"},
	{"private_routing", "on|off", "leave messages at relays by way of other relays"},
	{"log_level", "LEVEL", "debug, info, warn or error"},
}

func run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) (err error) {
	flags := pflag.NewFlagSet("godwit-desktop", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	profile := flags.String("profile", "", "keep everything under `DIR` (or GODWIT_HOME)")
	version := flags.Bool("version", false, "show the version")
	help := flags.BoolP("help", "h", false, "show this")
	quiet := flags.Bool("tray", false, "begin in the tray, if the window is to stay there and the desktop has one")
	verbose := flags.BoolP("verbose", "v", false, "say on standard error what happens")
	given := map[string]*[]string{}
	for _, s := range settings {
		given[s.key] = flags.StringArray(config.FlagName(s.key), nil, "`"+s.value+"`: "+s.usage)
	}
	if err := flags.Parse(args); err != nil {
		return problem.New(problem.Usage, err)
	}
	switch {
	case *help:
		_, err := fmt.Fprintf(out, "godwit-desktop [flags] [LINK]\n\nGodwit with a window. LINK is a godwit: link to show.\n\n%s", flags.FlagUsages())
		return err
	case *version:
		_, err := fmt.Fprintln(out, "godwit-desktop", config.Version)
		return err
	case flags.NArg() > 1:
		return problem.Newf(problem.Usage, "one link at most")
	}
	sources := config.Sources{Getenv: getenv, Profile: *profile, Flags: map[string][]string{}}
	for key, values := range given {
		if len(*values) > 0 {
			sources.Flags[key] = *values
		}
	}
	cfg, _, err := config.Load(sources)
	if err != nil {
		return err
	}
	if !display(getenv) {
		return problem.New(problem.NoDisplay, nil)
	}
	if err := cfg.Dirs.Make(); err != nil {
		return err
	}
	logFile, err := config.OpenLog(cfg.Dirs)
	if err != nil {
		return problem.New(problem.CannotMakeDir, err)
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	level := slog.LevelError
	if *verbose {
		level = slog.LevelDebug
	}
	cfg.Logger = slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: cfg.LogLevel}),
		slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level})))
	gologshim.SetDefaultHandler(slog.DiscardHandler) // it names peers and addresses
	slog.SetDefault(slog.New(slog.DiscardHandler))
	return show(ctx, cfg, flags.Arg(0), *quiet, getenv)
}

// show opens the window and returns when it is closed or the context ends.
func show(ctx context.Context, cfg config.Config, text string, quiet bool, getenv func(string) string) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	h := newHost(ctx, cfg, text, single.Token(getenv))
	inputMethod(getenv)
	var begin link.Link
	if text != "" {
		if begin, err = link.Parse(text); err != nil {
			return problem.New(problem.BadLink, err)
		}
	}
	a := fyneapp.NewWithID(appID)
	fyneapp.SetMetadata(fyne.AppMetadata{ID: appID, Name: "Godwit", Version: config.Version, Migrations: map[string]bool{"fyneDo": true}})
	notices := notifier(cfg)
	if notices != nil {
		defer func() { err = errors.Join(err, notices.Close()) }()
	}
	thread := newIdle(ctx)
	desk := ui.New(ctx, a, h, ui.Options{
		Name: userName(), Look: filepath.Join(cfg.Dirs.State, "window.json"), Languages: []string{string(fynelang.SystemLocale())},
		Scale: setScale, Log: cfg.Logger, Version: config.Version, Quit: stop, Do: thread.do,
		Notices: notices, Session: session(cfg, getenv), Tray: tray.Watch, Icon: fyne.NewStaticResource("im.godwit.desktop.svg", assets.AppIcon),
	})
	h.window(desk)
	if text != "" {
		desk.Raise(begin, "")
	}
	finish := sync.OnceValue(func() error {
		desk.Wait()
		return h.close()
	})
	over := make(chan struct{})
	context.AfterFunc(ctx, func() {
		thread.do(func() {
			desk.Keep()
			a.Quit()
		})
		// Fyne 2.8.1 loses its own last event if that comes at the wrong moment, and then
		// waits for it for ever: the account is closed without it.
		select {
		case <-over:
		case <-time.After(patience):
			cfg.Logger.Warn("the window did not end by itself")
			if err := finish(); err != nil {
				cfg.Logger.Error("what was behind the window did not end well", "err", err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	})
	desk.Start(quiet)
	a.Run()
	close(over)
	stop()
	return finish()
}

// garbage is how much there may be, in percent of what is in use: half of what is usual.
// A window stands open all day, and works little.
const garbage = 50

// patience is how long the window has to end.
const patience = 5 * time.Second

// notifier shows notifications, where that can be; nil otherwise. Desktops that do not
// find the icon by its name, because the program is not installed, are given a file.
func notifier(cfg config.Config) notify.Notifier {
	icon := filepath.Join(cfg.Dirs.Cache, "godwit.png")
	if err := os.WriteFile(icon, assets.AppIconPNG, 0o600); err != nil {
		icon = ""
	}
	n, err := notify.New(notify.Options{ID: appID, Name: "Godwit", Icon: icon})
	if err != nil {
		cfg.Logger.Info("there are no notifications here", "err", err)
		return nil
	}
	return n
}

// session is how the program is registered with the person's session; nil for a profile
// of its own, which is not what a login or a link means.
func session(cfg config.Config, getenv func(string) string) ui.Session {
	path, err := os.Executable()
	if err != nil || cfg.Dirs.Profile != "" {
		return nil
	}
	return autostart.Program{ID: appID, Name: "Godwit", Path: path, Args: []string{"--tray"}, Getenv: getenv}
}

// display says whether there is a screen to show a window on.
func display(getenv func(string) string) bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	}
	return getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""
}

// inputMethod takes the way by X11 where somebody writes with an input method: Fyne
// knows none under Wayland.
func inputMethod(getenv func(string) string) {
	if getenv("FYNE_PLATFORM") != "" || getenv("DISPLAY") == "" {
		return
	}
	for _, name := range []string{"GTK_IM_MODULE", "QT_IM_MODULE", "XMODIFIERS"} {
		if v := strings.ToLower(getenv(name)); strings.Contains(v, "ibus") || strings.Contains(v, "fcitx") {
			_ = os.Setenv("FYNE_PLATFORM", "x11")
			return
		}
	}
}

// setScale is how large everything is, in percent. Fyne asks for it whenever a theme is
// set.
func setScale(percent int) {
	_ = os.Setenv("FYNE_SCALE", strconv.FormatFloat(float64(percent)/100, 'f', 2, 64))
}

// userName is what the system calls the person: a name, or that of the account.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Name, ",") // GECOS: the rest is room and telephone
	if name = strings.TrimSpace(name); name == "" || name == u.Username {
		name = u.Username
		if i := strings.LastIndexByte(name, '\\'); i >= 0 {
			name = name[i+1:] // DOMAIN\name on Windows
		}
		if r := []rune(name); len(r) > 0 {
			r[0] = unicode.ToUpper(r[0])
			name = string(r)
		}
	}
	return name
}
